"""``python -m mlops_kit``: the command line."""

from mlops_kit.cli.main import main

if __name__ == "__main__":
    main(prog_name="mlops-kit")
