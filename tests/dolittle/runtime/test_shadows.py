from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolittle import Microservice, event_handler, event_type, handles, on, projection
from dolittle.engines.memory import MemoryStore
from dolittle.projections import Outcome, ProjectionDeclaration, projection_declaration_of
from dolittle.runtime.definition import define
from dolittle.runtime.field_changes import FieldChange
from dolittle.runtime.shadows import Difference, KeyChange, Shadow, package_digest
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Request, active, shadow

CODE = "c0de"
KEYS_MAX = 100

Open = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Awaitable[Any]]

handled: list[str] = []


@event_type
class DishPrepared:
    dish: str


@event_handler
class Announcer:
    @handles(DishPrepared)
    def announce(self, event: DishPrepared) -> None:
        handled.append(event.dish)


@projection("DishCounter")
class DishCounter:
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 1


@projection("DishCounter")
class LoudDishCounter:
    count: int = 0
    is_loud: bool = True

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> Outcome | None:
        if event.dish == "burnt":
            raise ValueError("nobody counts that")
        self.count += 2
        return Outcome.DELETE if event.dish == "secret" else None


def of(cls: type) -> ProjectionDeclaration:
    found = projection_declaration_of(cls)
    assert found is not None
    return found


async def cook(service: Microservice, *dishes: str) -> int:
    committed = await service.commit(*(DishPrepared(dish=d) for d in dishes), source="Tacos")
    return committed.position


async def fold(service: Microservice, cls: type, keys_max: int = KEYS_MAX) -> Difference:
    return await Shadow(service, of(cls), CODE).fold(keys_max)


async def promoted(service: Microservice) -> bool:
    builds = await service.state.processors("DishCounter")
    current = active(builds)
    return (
        shadow(builds) is None
        and current is not None
        and current.position >= await service.store.head()
        and len(builds) == 1
    )


def counts(difference: Difference) -> tuple[int, int, int, int]:
    return difference.added, difference.changed, difference.deleted, difference.same


async def deliver(open_service: Open, cls: type, *dishes: str) -> None:
    """Commit, and let the code of ``cls`` make the read models that readers see."""
    async with open_service(cls, DishPrepared, ephemeral=False) as service:
        last = await cook(service, *dishes)
        await service.wait_until_seen("DishCounter", last)


async def test_the_same_code_makes_no_difference(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco", "Taco", "Burrito")
    async with open_service(DishCounter, DishPrepared, ephemeral=False, deliver=False) as service:
        difference = await fold(service, DishCounter)
    assert counts(difference) == (0, 0, 0, 2)
    assert (difference.keys, difference.changes, difference.unlike) == ((), 0, 0)


async def test_other_code_shows_what_it_makes_otherwise(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco", "secret", "Taco")
    async with open_service(
        LoudDishCounter, DishPrepared, ephemeral=False, deliver=False
    ) as service:
        difference = await fold(service, LoudDishCounter)
        seen = await service.projection(LoudDishCounter).raw("Taco")
    assert counts(difference) == (0, 1, 1, 0)
    assert difference.keys == (
        KeyChange(
            "Taco",
            "changed",
            (FieldChange("count", 2, 4), FieldChange("is_loud", msgspec.UNSET, True)),
        ),
        KeyChange("secret", "deleted", ()),
    )
    assert seen == b'{"count":2}', "readers see the old one"


async def test_where_nothing_was_delivered_all_is_added(open_service: Open) -> None:
    async with open_service(DishCounter, DishPrepared, deliver=False) as service:
        await cook(service, "Taco", "Burrito")
        difference = await fold(service, DishCounter, keys_max=1)
    assert counts(difference) == (2, 0, 0, 0)
    assert difference.keys == (
        KeyChange("Burrito", "added", (FieldChange("count", msgspec.UNSET, 1),)),
    )
    assert (difference.before, difference.after, difference.position) == (0, 1, 2)


async def test_a_shadow_sees_no_more_than_what_it_is_compared_with(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco")
    async with open_service(DishCounter, DishPrepared, ephemeral=False, deliver=False) as service:
        await cook(service, "Taco")
        difference = await fold(service, DishCounter)
        [old, new] = await service.state.processors("DishCounter")
    assert counts(difference) == (0, 0, 0, 1)
    assert (old.position, new.position) == (1, 1)


async def test_a_shadow_goes_on_where_it_was_after_a_restart(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco")
    folded = []
    for dishes in ("", "Burrito"):
        if dishes:
            await deliver(open_service, DishCounter, dishes)
        async with open_service(
            DishCounter, DishPrepared, ephemeral=False, deliver=False
        ) as service:
            made = Shadow(service, of(DishCounter), CODE)
            difference = await made.fold(
                KEYS_MAX, lambda loop: folded.append(loop.processor.position)
            )
            assert counts(difference)[:3] == (0, 0, 0)
    assert folded == [0, 1]


async def test_a_shadow_of_other_code_is_made_anew(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco")
    async with open_service(DishCounter, DishPrepared, ephemeral=False, deliver=False) as service:
        await fold(service, DishCounter)
        made = Shadow(service, of(DishCounter), "other code around it")
        found = await made.find()
        assert found is not None
        assert not made.is_of_this_code(found)
        positions: list[int] = []
        await made.fold(KEYS_MAX, lambda loop: positions.append(loop.processor.position))
        assert positions == [0]
        found = await made.find()
        assert found is not None
        assert made.is_of_this_code(found)


async def test_a_shadow_runs_no_handler_and_writes_no_event(open_service: Open) -> None:
    handled.clear()
    async with open_service(Announcer, DishCounter, DishPrepared, deliver=False) as service:
        await cook(service, "Taco")
        await fold(service, DishCounter)
        assert await service.store.head() == 1
        assert handled == []
        assert [item.name for item in await service.state.processors()] == ["DishCounter"]


async def test_what_fails_in_a_shadow_is_told_and_holds_up_nobody_else(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "burnt", "Taco")
    async with open_service(
        LoudDishCounter, DishPrepared, ephemeral=False, deliver=False
    ) as service:
        difference = await fold(service, LoudDishCounter)
        assert await service.state.failing() == [], "nothing that is delivered to is failing"
        status = await service.processor_status("LoudDishCounter")
    assert [row.partition for row in difference.failing] == ["burnt"]
    assert difference.failing_before == ()
    assert counts(difference) == (0, 1, 1, 0)
    assert (status.is_replaying, status.failing) == (False, ())


async def test_a_discarded_shadow_leaves_nothing_behind(open_service: Open) -> None:
    await deliver(open_service, DishCounter, "Taco")
    async with open_service(DishCounter, DishPrepared, ephemeral=False, deliver=False) as service:
        made = Shadow(service, of(DishCounter), CODE)
        await made.fold(KEYS_MAX)
        gone = await made.discard()
        assert gone is not None
        assert gone.build == 2
        assert await made.find() is None
        assert await made.discard() is None
        assert await service.state.count("DishCounter", 2) == 0
        assert await service.state.count("DishCounter", 1) == 1


async def test_delivery_and_a_rebuild_leave_a_shadow_alone(
    open_service: Open, until: Until
) -> None:
    async with open_service(DishCounter, DishPrepared) as service:
        last = await cook(service, "Taco")
        await service.wait_until_seen("DishCounter", last)
        await fold(service, DishCounter)
        await service.request(Request("replay", "DishCounter"))

        async def is_rebuilt() -> bool:
            current = active(await service.state.processors("DishCounter"))
            return current is not None and current.build == 3

        await until(is_rebuilt)
        found = shadow(await service.state.processors("DishCounter"))
        assert found is not None
        assert (found.build, await service.state.count("DishCounter", 2)) == (2, 1)


async def test_a_promoted_shadow_folds_what_came_since_and_is_seen(
    open_service: Open, until: Until
) -> None:
    await deliver(open_service, DishCounter, "Taco", "Burrito")
    async with open_service(
        LoudDishCounter, DishPrepared, ephemeral=False, deliver=False
    ) as service:
        await fold(service, LoudDishCounter)
        await cook(service, "Taco")
        await service.state.request(Request("promote", "DishCounter"))
    async with open_service(LoudDishCounter, DishPrepared, ephemeral=False) as service:
        await until(lambda: promoted(service))
        models = await service.projection(LoudDishCounter).all()
        [build] = await service.state.processors("DishCounter")
    assert {key: model.count for key, model in models.items()} == {"Burrito": 2, "Taco": 4}
    assert (build.build, build.kind) == (2, "projection")
    assert build.fingerprint == of(LoudDishCounter).fingerprint


async def test_a_process_that_delivers_promotes_when_it_is_asked(
    open_service: Open, until: Until
) -> None:
    async with open_service(DishCounter, DishPrepared) as service:
        last = await cook(service, "Taco", "Taco")
        await service.wait_until_seen("DishCounter", last)
        await fold(service, DishCounter)
        await service.request(Request("promote", "DishCounter"))
        await until(lambda: promoted(service))
        last = await cook(service, "Taco")
        await service.wait_until_seen("DishCounter", last)
        model = await service.projection(DishCounter).get("Taco")
    assert model is not None
    assert model.count == 3


@pytest.mark.parametrize("has_shadow", [False, True])
async def test_a_shadow_that_is_not_of_the_loaded_code_is_not_promoted(
    open_service: Open, until: Until, has_shadow: bool
) -> None:
    await deliver(open_service, DishCounter, "Taco")
    if has_shadow:
        async with open_service(
            LoudDishCounter, DishPrepared, ephemeral=False, deliver=False
        ) as service:
            await fold(service, LoudDishCounter)
    async with open_service(DishCounter, DishPrepared, ephemeral=False) as service:
        await service.request(Request("promote", "DishCounter"))

        async def is_answered() -> bool:
            return not await service.state.requests()

        await until(is_answered)
        builds = await service.state.processors("DishCounter")
    current = active(builds)
    assert current is not None
    assert current.build == 1
    assert (shadow(builds) is not None) == has_shadow


def test_the_digest_changes_with_any_source_of_the_package(tmp_path: Path) -> None:
    package = tmp_path / "kitchen" / "projections"
    package.mkdir(parents=True)
    digests = [package_digest(tmp_path, "kitchen")]
    for name, text in (("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", ""), ("b.txt", "no")):
        (package / name).write_text(text)
        digests.append(package_digest(tmp_path, "kitchen"))
    assert len(set(digests)) == 4
    assert digests[-1] == digests[-2], "only source counts"
    (tmp_path / "single.py").write_text("x = 1\n")
    assert package_digest(tmp_path, "single") != package_digest(tmp_path, "kitchen")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["Taco", "Burrito", "burnt", "secret"]), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
async def test_a_shadow_made_in_pieces_is_what_one_fold_makes(
    dishes: list[str], stops: list[int]
) -> None:
    """The law: wherever it is interrupted, each event is folded exactly once, in order."""
    definition = define("kitchen", [DishPrepared, LoudDishCounter])
    documents = []
    for pieces in ([], sorted(stops)):
        service = Microservice(definition, MemoryStore(), SqliteState(), name="kitchen")
        done = 0
        for stop in [*(min(stop, len(dishes)) for stop in pieces), len(dishes)]:
            if stop > done:
                await cook(service, *dishes[done:stop])
                done = stop
            await Shadow(service, of(LoudDishCounter), CODE).fold(0)
        documents.append(await service.state.documents("DishCounter", 1, limit=1_000))
        await service.state.close()
    assert documents[0] == documents[1]


async def test_a_promotion_counts_each_event_once_while_more_keep_coming(
    open_service: Open, until: Until
) -> None:
    async with (
        open_service(DishCounter, DishPrepared, ephemeral=False) as service,
        open_service(DishCounter, DishPrepared, ephemeral=False, deliver=False) as beside,
    ):
        await cook(service, *["Taco"] * 50)

        async def keep_cooking() -> None:
            for _ in range(60):
                await cook(service, "Taco")

        cooking = asyncio.create_task(keep_cooking())
        difference = await fold(beside, DishCounter)
        models = beside.projection(DishCounter)
        seen = [await models.get("Taco")]
        await service.request(Request("promote", "DishCounter"))
        while not await is_promoted(service, difference.after):
            seen.append(await models.get("Taco"))
            await asyncio.sleep(0)
        await cooking
        await until(lambda: promoted(service))
        seen.append(await models.get("Taco"))
    counted = [model.count for model in seen if model is not None]
    assert counted[-1] == 110
    assert counted == sorted(counted), "readers never go back"
    assert difference.changes == 0 or difference.unlike > 0


async def is_promoted(service: Microservice, build: int) -> bool:
    current = active(await service.state.processors("DishCounter"))
    return current is not None and current.build == build
