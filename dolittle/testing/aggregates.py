"""Given events, when a command is performed, then events or a refusal: tests of aggregate roots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from dolittle.aggregates import (
    AggregateRoot,
    check_aggregate_root,
    declaration_of,
    rehydrate,
)
from dolittle.errors import RuleViolation
from dolittle.testing.comparing import events_differ
from dolittle.testing.declared import checked, stored_and_read
from dolittle.testing.running import run_to_end

A = TypeVar("A", bound=AggregateRoot)
P = ParamSpec("P")


def given(aggregate: type[A], source: str, /, *events: object) -> Given[A]:
    """Begin a test of an aggregate root with the events that its instance already has.

    ::

        given(Kitchen, "Dolittle Tacos", DishPrepared(dish="Taco", chef="Mr. Taco")).when(
            Kitchen.prepare_dish, dish="Burrito", chef="Mrs. Tex Mex"
        ).then(DishPrepared(dish="Burrito", chef="Mrs. Tex Mex"))

    Every event goes through the bytes that a store would keep, so that what cannot be stored
    fails in the test.

    Args:
        aggregate: The aggregate root's class.
        source: The event source of the instance.
        events: What has happened to it, in order.

    Raises:
        TypeError: The class is no aggregate root, the source no text, or an event no event.
        DeclarationErrors: The aggregate root or an event type cannot work.
        PayloadDoesNotFit: An event cannot be stored.
    """
    declaration = declaration_of(aggregate) if isinstance(aggregate, type) else None
    if declaration is None:
        name = getattr(aggregate, "__name__", repr(aggregate))
        raise TypeError(f"{name} is no aggregate root: decorate the class with @aggregate_root")
    if not isinstance(source, str) or not source:
        raise TypeError(
            f"the second argument of given is the event source, a text, not {source!r}: "
            f'given({aggregate.__name__}, "…", event, …)'
        )
    checked(declaration, check_aggregate_root)
    return Given(aggregate, source, stored_and_read(events))


class Given(Generic[A]):
    """An aggregate instance with a past; made by :func:`given`."""

    def __init__(self, aggregate: type[A], source: str, events: Sequence[object]) -> None:
        self._aggregate, self._source, self._events = aggregate, source, events

    def when(
        self, command: Callable[Concatenate[A, P], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Performed[A]:
        """Perform a command: ``when(Kitchen.prepare_dish, dish="Taco", chef="Mr. Taco")``.

        A function of the instance works too: ``when(lambda kitchen: kitchen.close())``. An
        async command is run to its end. An error that is no ``RuleViolation`` passes through.

        Raises:
            PayloadDoesNotFit: The command applied an event that cannot be stored.
        """
        instance = rehydrate(self._aggregate, self._source, self._events)
        result: Any = None
        refusal: RuleViolation | None = None
        events: Sequence[object] = ()
        try:
            result = run_to_end(command(instance, *args, **kwargs))
            events = instance.applied_events
        except RuleViolation as violation:
            refusal = violation
        applied = stored_and_read(events)
        reloaded = rehydrate(self._aggregate, self._source, [*self._events, *applied])
        return Performed(instance, reloaded, applied, refusal, result)

    def then_state(self, **fields: object) -> Self:
        """Assert fields of the instance as it is loaded from the given events.

        Raises:
            AssertionError: A field has another value.
            TypeError: There is no such field.
        """
        __tracebackhide__ = True
        lines = _state_differs(rehydrate(self._aggregate, self._source, self._events), fields)
        if lines:
            raise AssertionError("\n".join(lines))
        return self


class Performed(Generic[A]):
    """What a command did; made by :meth:`Given.when`. Each ``then`` returns it again.

    Attributes:
        result: What the command returned.
    """

    def __init__(
        self,
        instance: A,
        reloaded: A,
        applied: Sequence[object],
        refusal: RuleViolation | None,
        result: Any,
    ) -> None:
        self._instance, self._reloaded = instance, reloaded
        self._applied, self._refusal = applied, refusal
        self.result = result

    def then(self, event: object, /, *events: object) -> Self:
        """Assert that exactly these events were applied, in this order.

        Raises:
            AssertionError: Others were, or the command was refused.
            TypeError: One of the expected is no event.
            PayloadDoesNotFit: One of the expected cannot be stored.
        """
        __tracebackhide__ = True
        self._assert_applied(stored_and_read([event, *events]))
        return self

    def then_nothing(self) -> Self:
        """Assert that the command was accepted and applied no event.

        Raises:
            AssertionError: It applied some, or was refused.
        """
        __tracebackhide__ = True
        self._assert_applied([])
        return self

    def then_refused(self, message: str | None = None) -> Self:
        """Assert that a rule refused the command, so that nothing is committed.

        Args:
            message: The whole message of the ``RuleViolation``; any, if it is left out.

        Raises:
            AssertionError: It was accepted, or refused with another message.
        """
        __tracebackhide__ = True
        wanted = "a refusal" if message is None else f"a refusal: {message!r}"
        if self._refusal is None:
            raise AssertionError(
                events_differ([], self._applied, f"{wanted} was expected, the command was accepted")
            )
        if message is not None and str(self._refusal) != message:
            raise AssertionError(
                f"expected refusal: {message!r}\nactual refusal:   {str(self._refusal)!r}"
            ) from self._refusal
        return self

    def then_state(self, **fields: object) -> Self:
        """Assert fields of the instance as they are when it is next loaded from its events.

        Raises:
            AssertionError: A field has another value.
            TypeError: There is no such field.
        """
        __tracebackhide__ = True
        lines = _state_differs(self._reloaded, fields, None if self._refusal else self._instance)
        if lines:
            raise AssertionError("\n".join([*lines, *self._remarks()]))
        return self

    def _assert_applied(self, expected: Sequence[object]) -> None:
        __tracebackhide__ = True
        if self._refusal is not None or list(expected) != list(self._applied):
            raise AssertionError(
                events_differ(expected, self._applied, "\n".join(self._remarks()))
            ) from self._refusal

    def _remarks(self) -> list[str]:
        return [f"the command was refused: {self._refusal}"] if self._refusal is not None else []


def _state_differs(
    loaded: AggregateRoot, fields: Mapping[str, object], left_behind: AggregateRoot | None = None
) -> list[str]:
    """Return what differs in an instance that was loaded from its events.

    Args:
        loaded: The instance.
        fields: The expected values.
        left_behind: The instance that a command was performed on, if it was accepted.
    """
    lines = []
    for name, expected in fields.items():
        if not hasattr(loaded, name):
            raise TypeError(f"{type(loaded).__name__} has no field {name!r}")
        actual = getattr(loaded, name)
        if actual == expected:
            continue
        lines.append(f"{name}: {expected!r} was expected, {actual!r} came")
        left = getattr(left_behind, name, actual)
        if left != actual:
            lines.append(
                f"  the command itself left {left!r}, which is lost: "
                "change fields in @on methods only"
            )
    return lines
