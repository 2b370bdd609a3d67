"""action.yml, step by step: from an event on GitHub to the check's conclusion."""

from collections.abc import Callable

import pytest

from tests.action.conftest import Workshop
from tests.action.events import Project, Started

Event = Callable[[Project, str], Started]

EVENTS: dict[str, Event] = {
    "pull_request opened": lambda project, head: project.pull_request(head),
    "pull_request synchronize": lambda project, head: project.pull_request(head, action="synchronize"),
    "pull_request reopened": lambda project, head: project.pull_request(head, action="reopened"),
    "pull_request from a fork": lambda project, head: project.pull_request(head, source="stranger/shop"),
    "merge_group": Project.merge_group,
    "push": lambda project, head: project.push(head, project.m1),
    "push of a new branch": Project.new_branch,
    "force-push": Project.force_push,
    "schedule": Project.schedule,
    "workflow_dispatch": Project.dispatch,
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_a_harmful_change_is_blocked_whatever_the_event(event: Event, project: Project, workshop: Workshop) -> None:
    started = event(project, project.harmful)
    result = workshop.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert result.step("Check the lockfiles").code == 1
    assert result.outputs["blocked"] == "1"
    (error, *_) = [each for each in result.annotations if each.name == "error"]
    assert error.properties["file"] == "shop/package-lock.json"
    assert "plain-crypto-replica" in result.summary
    assert result.environment == ""
