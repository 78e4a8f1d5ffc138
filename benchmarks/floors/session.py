"""One question to the agent whose id is given, in a new session, and its typed answer. The app's models are its first import."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))
from models import REPORTS  # type: ignore[import-not-found]
from openai import OpenAI

client = OpenAI(max_retries=0)
with client.beta.agents.sessions.create(agent_id=sys.argv[1], environment={"type": "none"}, input="Go.", stream=True) as events:
    report: Any = events.get_final_result().parse(REPORTS[0]).output_parsed
print(report.title)
