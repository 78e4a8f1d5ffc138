"""The workflows of the documentation: their shell lines against a server, as CI would run them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import Fault, Loopback, error_body
from pages import copy_example
from workflows import TOKEN, GitHub, titled_blocks, workflows

KEYS = {"OPENAI_API_KEY": "sk-canary-development", "OPENAI_API_KEY_PRODUCTION": "sk-canary-production"}
WRITING = {"OPENAI_API_KEY": "sk-canary-may-write", "OPENAI_API_KEY_PRODUCTION": "sk-canary-may-deploy"}
MARKER = "<!-- inv asst.plan -->"
PROMPTS = "app/trivia/prompts.py"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loopback, bytes, Path]]:
    """A server with the example's instances, and a clone that records them: how each test begins."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: the stand-in for gh needs it")
    folder = tmp_path_factory.mktemp("begun")
    server = Loopback()
    github = GitHub(folder / "github", {"OPENAI_BASE_URL": server.url}, {})
    ada = folder / "ada"
    copy_example(ada)
    (ada / ".env").unlink()
    for path in (path for path in titled_blocks() if path.startswith(".github/")):
        (ada / path).parent.mkdir(parents=True, exist_ok=True)
        (ada / path).write_text(titled_blocks()[path])
    for dataset in (ada / "app" / "trivia").glob("*.yaml"):  # two cases of each: it is the workflows that are tried
        content = yaml.safe_load(dataset.read_text())
        dataset.write_text(yaml.safe_dump({**content, "cases": content["cases"][:2]}, sort_keys=False))
    created = github.shell("inv asst.create", ada, WRITING)
    assert created.returncode == 0, created.stdout
    github.git("add -A", ada)
    github.git("commit -qm Real", ada)
    yield server, server.objects, folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(begun: tuple[Loopback, bytes, Path]) -> Loopback:
    server, server.objects, _ = begun
    server.seen.clear()
    server.faults.clear()
    return server


@pytest.fixture
def github(tmp_path: Path, begun: tuple[Loopback, bytes, Path], server: Loopback) -> Iterator[GitHub]:
    """The example at GitHub, in sync with the server. No file, no output and no call of ``gh`` may get a key or the token."""
    environments = {"development": "OPENAI_API_KEY", "production": "OPENAI_API_KEY_PRODUCTION"}
    secrets = {"": KEYS, **{each: {name: WRITING[name]} for each, name in environments.items()}}
    made = GitHub(tmp_path / "github", {"OPENAI_BASE_URL": server.url}, secrets)
    shutil.copytree(begun[2] / "ada", tmp_path / "ada")
    made.git(f"clone -q --bare . {made.folder}/origin.git", tmp_path / "ada")
    yield made
    told = [job.output + job.summary + json.dumps(job.outputs) for job in made.jobs]
    kept = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (*KEYS.values(), *WRITING.values(), TOKEN):
        assert not any(secret in text for text in (*told, *kept)), secret
    assert not any("Traceback" in job.output for job in made.jobs)


def push(github: GitHub, tmp_path: Path, ref: str, **edits: str) -> None:
    """Push a commit of the example in which words of the prompts are replaced."""
    ada = tmp_path / "ada"
    text = (ada / PROMPTS).read_text()
    for before, after in edits.items():
        assert before in text
        text = text.replace(before, after)
    (ada / PROMPTS).write_text(text)
    github.git("commit -qam Words", ada)
    github.git(f"push -q {github.origin} HEAD:{ref}", ada)


def keys_of(server: Loopback) -> set[str]:
    return {seen.headers["authorization"].removeprefix("Bearer ") for seen in server.seen}


def log(github: GitHub) -> list[str]:
    """The subjects of main, newest first."""
    return github.git("log --format=%s main", github.folder / "origin.git").splitlines()


def drift(server: Loopback, name: str = "create_trivia_game_production") -> str:
    """Edit an instance by hand; return its id."""
    [id] = [id for id, agent in server.agents().items() if agent["name"] == name]
    server.edit(id, model="gpt-6-nova")
    return id


def test_a_pull_request_has_one_comment_with_its_newest_plan(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """The first push makes the comment and the second rewrites it, behind a hundred others; nobody else's is touched."""
    others = [{"id": number + 1, "user": {"login": "eve"}, "body": f"{MARKER}\nno changes"} for number in range(120)]
    github.change(comments=others)
    push(github, tmp_path, "refs/pull/7/merge", surprising="astonishing")
    first = github.run("plan", "refs/pull/7/merge")["plan"]
    assert first.code == 0
    [comment] = github.state["comments"][120:]
    assert comment["body"].startswith(MARKER)
    assert "astonishing" in comment["body"]
    assert comment["body"].rstrip() == first.summary.rstrip()
    assert keys_of(server) == set(KEYS.values())
    push(github, tmp_path, "refs/pull/7/merge", astonishing="amazing")
    assert github.run("plan", "refs/pull/7/merge")["plan"].code == 0
    [again] = github.state["comments"][120:]
    assert again["id"] == comment["id"]
    assert "amazing" in again["body"]
    assert "astonishing" not in again["body"]
    assert github.state["comments"][:120] == others
    assert [method for method, *_ in github.state["calls"]] == ["GET", "POST", "GET", "PATCH"]
    assert not server.writes()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_pull_request_without_a_key_gets_a_plan_of_the_store(
    github: GitHub, server: Loopback, tmp_path: Path, read_only: bool
) -> None:
    """Without secrets the plan sends no request; where the token may not comment, as a fork's, the plan is in the summary."""
    github.secrets[""] = {}
    github.change(read_only=read_only)
    push(github, tmp_path, "refs/pull/7/merge", surprising="astonishing")
    job = github.run("plan", "refs/pull/7/merge")["plan"]
    assert job.code == 0
    assert "astonishing" in job.summary
    assert [MARKER in comment["body"] for comment in github.state["comments"]] == [True] * (not read_only)
    assert ("Resource not accessible" in job.output) == read_only
    assert server.seen == []


def test_drift_in_production_fails_the_plan_that_is_commented_all_the_same(
    github: GitHub, server: Loopback, tmp_path: Path
) -> None:
    """The job's exit code is the plan's, 3; the comment names the field and no write happens."""
    drift(server)
    push(github, tmp_path, "refs/pull/7/merge", surprising="astonishing")
    assert github.run("plan", "refs/pull/7/merge")["plan"].code == 3
    [comment] = github.state["comments"]
    assert "gpt-6-nova" in comment["body"]
    assert not server.writes()[1:]


def test_a_plan_that_cannot_be_made_fails_the_job(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """A refused key is exit code 1, told in the comment."""
    server.faults.append(lambda seen: Fault(status=401, raw=error_body("invalid_api_key", "Incorrect API key provided.")))
    push(github, tmp_path, "refs/pull/7/merge", surprising="astonishing")
    assert github.run("plan", "refs/pull/7/merge")["plan"].code == 1
    [comment] = github.state["comments"]
    assert "key" in comment["body"]


def test_drift_opens_one_issue_and_closes_it(github: GitHub, server: Loopback) -> None:
    """Nothing is opened while all is in sync; drift opens an issue, more of it rewrites that one, its end closes it."""
    assert github.run("drift")["drift"].code == 0
    assert github.state["issues"] == []
    first = drift(server)
    assert github.run("drift")["drift"].code == 0
    [issue] = github.state["issues"]
    assert issue["body"].startswith(MARKER)
    assert "gpt-6-nova" in issue["body"]
    second = drift(server, "judge_answer_production")
    assert github.run("drift")["drift"].code == 0
    [again] = github.state["issues"]
    assert again["body"].count("gpt-6-nova") > issue["body"].count("gpt-6-nova")
    server.edit(first, model="gpt-6-astra")
    server.edit(second, model="gpt-6-luna")
    assert github.run("drift")["drift"].code == 0
    [closed] = github.state["issues"]
    assert closed["state"] == "closed"
    assert [method for method, *_ in github.state["calls"]] == ["GET", "GET", "POST", "GET", "PATCH", "GET", "PATCH"]


def test_a_merge_reaches_development_and_after_approval_production(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """Each job writes with its own environment's key and commits the store; then there is nothing to do, to commit or to ask."""
    push(github, tmp_path, "main", surprising="astonishing")
    keys: list[set[str]] = []

    def meanwhile() -> None:
        keys.append(keys_of(server))
        server.seen.clear()

    jobs = github.run("deploy", meanwhile=meanwhile)
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)]
    assert "astonishing" in jobs["development"].summary
    assert keys == [{WRITING["OPENAI_API_KEY"]}]
    assert keys_of(server) == {WRITING["OPENAI_API_KEY_PRODUCTION"]}
    assert all("astonishing" in json.dumps(agent) for agent in server.agents().values() if "create" in agent["name"])
    assert log(github)[:3] == ["Deploy the assistants to production", "Update the assistants in development", "Words"]
    server.seen.clear()
    again = github.run("deploy")
    assert [(name, job.code) for name, job in again.items()] == [("development", 0)]
    assert log(github)[0] == "Deploy the assistants to production"
    assert not server.writes()


def test_the_store_is_committed_on_top_of_what_others_pushed(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """While production waits for its approval, main gets other declarations and their records: both sides stay."""
    ada = tmp_path / "ada"

    def meanwhile() -> None:
        github.git(f"pull -q --rebase {github.origin} main", ada)
        (ada / PROMPTS).write_text(
            (ada / PROMPTS).read_text().replace("astonishing", "amazing").replace("spelling", "orthography")
        )
        done = github.shell("inv asst.update", ada, WRITING)
        assert done.returncode == 0, done.stdout
        push(github, tmp_path, "main")

    push(github, tmp_path, "main", surprising="astonishing")
    jobs = github.run("deploy", meanwhile=meanwhile)
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)]
    assert log(github)[:2] == ["Deploy the assistants to production", "Words"]
    theirs = json.loads((ada / "assistants_store.json").read_text())["assistants"]
    store = json.loads(github.git("show main:assistants_store.json", github.folder / "origin.git"))["assistants"]
    assert all(store[name]["development"] == theirs[name]["development"] for name in store)
    assert store["create_trivia_game"]["production"] != theirs["create_trivia_game"]["production"]


def test_a_failed_deploy_records_what_was_done(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """Where the server refuses one of two updates, the job fails and the other one's record is committed."""
    push(github, tmp_path, "main", surprising="astonishing", spelling="orthography")
    server.once(Fault(status=400, raw=error_body("invalid_request", "Not this one.")))
    jobs = github.run("deploy")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 1)]
    assert log(github)[0] == "Update the assistants in development"


def fail_evals(tmp_path: Path, *, required: bool) -> None:
    """Break an evaluator, so that no answer of judge_answer passes; let its evals be required or not."""
    app = tmp_path / "ada" / "app"
    evaluators = app / "trivia" / "evaluators.py"
    evaluators.write_text(evaluators.read_text().replace("return 0 < len(comment)", "return 0 > len(comment)"))
    if required:
        declared = (app / "assistants.py").read_text()
        begin, end = declared.rsplit("        minimum=0.75,\n", 1)
        (app / "assistants.py").write_text(f"{begin}        required=True,\n{end}")


def test_a_failing_required_eval_ends_before_production(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """It ends before production is asked for, with the records committed; --skip-evals by hand asks no eval and goes on."""
    fail_evals(tmp_path, required=True)
    push(github, tmp_path, "main", spelling="orthography")
    jobs = github.run("deploy")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 3)], jobs["development"].output
    assert log(github)[0] == "Update the assistants in development"
    server.seen.clear()
    jobs = github.run("deploy", flags="--skip-evals")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)], jobs["development"].output
    assert not any("/sessions" in seen.path for seen in server.seen)
    assert log(github)[0] == "Deploy the assistants to production"


HOST = """
ASSISTANTS.append(
    Assistant(
        "host", output=AnswerVerdict, model="gpt-6-luna", instructions="Be a host.",
        evals=Evals("app/trivia/host.yaml", evaluators=[evaluators.short_comment], required={required}),
    )
)
"""
DATASET = """
evaluators: [short_comment]
cases:
  - name: a greeting
    inputs: Greet the players.
"""


def push_new_assistant(github: GitHub, tmp_path: Path, *, required: bool) -> None:
    """Push a commit that declares an assistant which has no instance yet."""
    app = tmp_path / "ada" / "app"
    (app / "trivia" / "host.yaml").write_text(DATASET)
    with (app / "assistants.py").open("a") as file:
        file.write(HOST.format(required=required))
    github.git("add -A", tmp_path / "ada")
    push(github, tmp_path, "main")


def hosts(server: Loopback) -> list[str]:
    """The instances of the new assistant."""
    return sorted(agent["name"] for agent in server.agents().values() if agent["name"].startswith("host_"))


def test_a_new_assistant_whose_required_evals_fail_is_not_created_in_production(
    github: GitHub, server: Loopback, tmp_path: Path
) -> None:
    """Create asks for no evals, so the job before it ends, each time, with the record committed; --skip-evals by hand goes on."""
    fail_evals(tmp_path, required=False)
    push_new_assistant(github, tmp_path, required=True)
    for flags in ("", "--allow-breaking judge_answer"):
        jobs = github.run("deploy", flags=flags)
        assert [(name, job.code) for name, job in jobs.items()] == [("development", 3)], jobs["development"].output
        assert "`host` in `production`: evals failed\n" in jobs["development"].output
        assert log(github)[0] == "Update the assistants in development"
        assert hosts(server) == ["host_development"]
    jobs = github.run("deploy", flags="--skip-evals")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)], jobs["development"].output
    assert hosts(server) == ["host_development", "host_production"]


def test_a_new_assistant_whose_evals_end_in_errors_is_not_created_in_production(
    github: GitHub, server: Loopback, tmp_path: Path
) -> None:
    """What is not known is no pass."""
    evaluators = tmp_path / "ada" / "app" / "trivia" / "evaluators.py"
    evaluators.write_text(evaluators.read_text().replace("return 0 < len(comment)", "return 0 < len(None)"))
    push_new_assistant(github, tmp_path, required=True)
    jobs = github.run("deploy")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 3)], jobs["development"].output
    assert "`host` in `production`: evals not known\n" in jobs["development"].output
    assert hosts(server) == ["host_development"]


@pytest.mark.parametrize("required", [True, False])
def test_a_new_assistant_reaches_production(github: GitHub, server: Loopback, tmp_path: Path, required: bool) -> None:
    """It does so where its required evals pass, and where evals that are not required fail."""
    if not required:
        fail_evals(tmp_path, required=False)
    push_new_assistant(github, tmp_path, required=required)
    jobs = github.run("deploy")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)], jobs["development"].output
    assert hosts(server) == ["host_development", "host_production"]
    assert log(github)[0] == "Deploy the assistants to production"


def test_a_failing_eval_that_is_not_required_leaves_the_way_open(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """It is told in development, and production gets the change."""
    fail_evals(tmp_path, required=False)
    push(github, tmp_path, "main", spelling="orthography")
    jobs = github.run("deploy")
    assert "below the minimum" in jobs["development"].output
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)]


def test_a_rollback_is_recorded_and_stops_what_waits(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """It writes with production's key and commits the store; a deploy that is approved after it is refused."""
    prompts = tmp_path / "ada" / PROMPTS
    prompts.write_text(prompts.read_text().replace("surprising", "astonishing"))
    deployed = github.shell("inv asst.deploy", tmp_path / "ada", WRITING)
    assert deployed.returncode == 0, deployed.stdout
    push(github, tmp_path, "main", astonishing="amazing")
    typed = {"env": "production", "only": "create_trivia_game", "to": "", "message": "--too 'astonishing'; $(exit 9)"}
    keys: list[set[str]] = []

    def meanwhile() -> None:
        server.seen.clear()
        assert github.run("rollback", **typed)["rollback"].code == 0
        keys.append(keys_of(server))

    jobs = github.run("deploy", meanwhile=meanwhile, flags="--skip-evals")
    assert keys == [{WRITING["OPENAI_API_KEY_PRODUCTION"]}]
    assert jobs["production"].code == 3, jobs["production"].output
    assert log(github)[0] == f"Roll back production: {typed['message']}"
    store = json.loads(github.git("show main:assistants_store.json", github.folder / "origin.git"))
    assert store["assistants"]["create_trivia_game"]["production"]["held"]["message"] == typed["message"]
    assert "held" not in store["assistants"]["judge_answer"]["production"]
    [instance] = [agent for agent in server.agents().values() if agent["name"] == "create_trivia_game_production"]
    assert "surprising" in json.dumps(instance)


def test_a_store_that_cannot_be_pushed_is_kept_on_a_branch(github: GitHub, tmp_path: Path) -> None:
    """Where main takes no push, as a protected branch, the script fails and the commit is not lost with the runner."""
    hook = github.folder / "origin.git" / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    github.checkout("main", work)
    (work / "assistants_store.json").write_text("{}\n")
    script = [
        step["run"] for step in workflows()["deploy"]["jobs"]["production"]["steps"] if "commit-store" in step.get("run", "")
    ]
    done = github.shell(script[0], work, {"GITHUB_RUN_ID": "41", "GITHUB_OUTPUT": "/dev/null"})
    assert done.returncode == 1
    subject = github.git("log -1 --format=%s store-of-run-41", github.folder / "origin.git")
    assert subject == "Deploy the assistants to production"


def test_workflows_can_do_no_more_than_they_need() -> None:
    """Actions have a major version, jobs the least rights, and no text from outside becomes part of a shell line."""
    rights = {
        "plan": {"contents": "read", "pull-requests": "write"},
        "deploy": {"contents": "write"},
        "rollback": {"contents": "write"},
        "drift": {"contents": "read", "issues": "write"},
    }
    assert {name: workflow["permissions"] for name, workflow in workflows().items()} == rights
    steps: list[dict[str, Any]] = [
        step for workflow in workflows().values() for job in workflow["jobs"].values() for step in job["steps"]
    ]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert not any("${{" in step.get("run", "") for step in steps)
    assert "pull_request_target" not in json.dumps(list(workflows().values()), default=str)


def test_a_breaking_change_is_let_through_by_hand_alone(github: GitHub, server: Loopback, tmp_path: Path) -> None:
    """It ends before production is asked for; with the flag that names it, typed by hand, it goes through."""
    models = tmp_path / "ada" / "app" / "trivia" / "models.py"
    models.write_text(models.read_text().replace('"wrong"]', '"wrong", "unclear"]'))
    push(github, tmp_path, "main")
    jobs = github.run("deploy")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 3)], jobs["development"].output
    assert "verdict" in jobs["development"].summary
    jobs = github.run("deploy", flags="--allow-breaking judge_answer:verdict")
    assert [(name, job.code) for name, job in jobs.items()] == [("development", 0), ("production", 0)], jobs["production"].output
    assert log(github)[0] == "Deploy the assistants to production"
