"""``python -m invoke_assistants VERB``: each verb of ``inv asst.VERB``, where there is no ``tasks.py`` too."""

from __future__ import annotations

from .tasks.program import make_program

if __name__ == "__main__":
    make_program().run()
