"""What people and machines wrote, shown in Markdown: nothing in it acts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.views.values import markdown

ACTING = "**b** _i_ `c` [l](u) ![i](u) <b> # | ~~s~~ @team $x$ https://host.example www.host.example \\ &amp;"


@given(st.text())
def test_every_character_that_could_act_is_escaped_and_the_text_is_still_there(text):
    shown = markdown(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|#~!@$]", shown)
    assert not re.search(r"[<>]|(?<!\\)://|\bwww\.", shown)


def card(models):
    models.register("m", [1], description=ACTING, card={ACTING: ACTING})
    models.promote("m:1", reason=ACTING)
    models.approve("m:1", reason=ACTING)
    return models.card("m:1").to_markdown()


def report(models):
    models.register("m", [1])
    return mk.Gate(lambda _case: (True, ACTING)).evaluate("m:1", store=models.store).to_markdown()


@pytest.mark.parametrize("written", [card, report])
def test_what_a_user_writes_acts_neither_in_a_card_nor_in_the_report_of_a_gate(written):
    text = written(mk.ModelStore(f"memory://markdown-{written.__name__}"))
    assert r"\@team \$x\$ https\://host.example www\.host.example" in text
    assert "@team" not in text.replace(r"\@team", "")
