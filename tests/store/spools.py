"""What several tests of spools share."""


def left_in(spool):
    """List what a spool still has to deliver; its folders and ``spool.json`` stay, since a run may be using them."""
    return [found.key for found in spool.walk("") if found.key != "spool.json"]
