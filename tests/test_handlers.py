"""Tests of wsservice.handlers: what a function takes is known before the first client comes."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.errors import ClientError
from wsservice.handlers import Entry, check_handler, make_entry

NO_ROLES: frozenset[str] = frozenset()


class Taking:
    """Callables of several kinds that take one argument of the client's."""

    def method(self, connection: Any, data: Any) -> None: ...

    @staticmethod
    def static(connection: Any, data: Any) -> None: ...

    @classmethod
    def of_class(cls, connection: Any, data: Any) -> None: ...

    def __call__(self, connection: Any, data: Any) -> None: ...


def positional_only(connection: Any, data: Any, /) -> None: ...


def with_options(connection: Any, data: Any, *, loud: bool = False, **others: Any) -> None: ...


class FitTests(SynchronousTestCase):
    def fit(self, function: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
        return make_entry(function, NO_ROLES).fit(args)

    def test_what_was_left_out_is_none_where_there_is_no_default(self) -> None:
        self.assertEqual(self.fit(lambda connection, a, b: None), (None, None))
        self.assertEqual(self.fit(lambda connection, a, b: None, 1), (1, None))
        self.assertEqual(self.fit(lambda connection, a, b=7: None), (None,))
        self.assertEqual(self.fit(lambda connection, a=7: None), ())
        self.assertEqual(self.fit(lambda connection, a, *rest: None), (None,))

    def test_a_none_too_many_is_left_away_and_others_are_refused(self) -> None:
        self.assertEqual(self.fit(lambda connection: None, None), ())
        self.assertEqual(self.fit(lambda connection, a: None, None, None, None), (None,))
        self.assertEqual(self.fit(lambda connection, a=7: None, 1, None), (1,))
        for args in ((1, 2), (1, None, 2), (None, False), (1, 0), (1, "", None)):
            error = self.assertRaises(ClientError, self.fit, lambda connection, a: None, *args)
            self.assertEqual(error.code, "bad_arguments")

    def test_the_refusal_says_how_many_there_may_be(self) -> None:
        error = self.assertRaises(ClientError, self.fit, lambda connection, a, b=1: None, 1, 2, 3)
        self.assertEqual(error.message, "This event takes 2 arguments, and 3 came.")

    def test_a_handler_of_any_number_gets_them_all(self) -> None:
        self.assertEqual(self.fit(lambda connection, *args: None, 1, None, None), (1, None, None))
        self.assertEqual(self.fit(lambda *args: None), ())

    def test_the_arguments_of_on_any_are_counted_behind_the_event(self) -> None:
        entry = make_entry(lambda connection, event, a, b=7: None, NO_ROLES, leading=2)
        self.assertEqual((entry.least, entry.most), (1, 2))
        self.assertEqual(entry.fit(()), (None,))

    @given(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.lists(st.sampled_from([None, 0, 1]), max_size=8))
    def test_what_fits_can_be_called_and_nothing_but_nones_is_added_or_lost(
        self, required: int, optional: int, takes_any: bool, args: list[Any]
    ) -> None:
        names = [f"a{number}" for number in range(required)] + [f"b{number}=7" for number in range(optional)]
        source = ", ".join(["connection", *names, *(["*rest"] if takes_any else [])])
        function = eval(f"lambda {source}: None")
        try:
            fitted = make_entry(function, NO_ROLES).fit(tuple(args))
        except ClientError:
            self.assertFalse(takes_any)
            self.assertTrue(any(one is not None for one in args[required + optional :]))
            return
        function("connection", *fitted)
        longest = max(len(args), len(fitted))
        self.assertEqual(
            [*args, *[None] * (longest - len(args))], [*fitted, *[None] * (longest - len(fitted))], (source, args)
        )


class MakingTests(SynchronousTestCase):
    def test_every_kind_of_callable_is_understood(self) -> None:
        one = Taking()
        functions: list[Callable[..., Any]] = [
            lambda connection, data: None,
            one.method,
            one.static,
            one.of_class,
            one,
            positional_only,
            with_options,
            functools.partial(lambda number, connection, data: None, 1),
            functools.partial(with_options, loud=True),
            functools.wraps(positional_only)(lambda *args: None),
        ]
        for function in functions:
            entry = make_entry(function, frozenset({"admin"}))
            self.assertEqual(entry, Entry(function, frozenset({"admin"}), 1, 1))

    def test_a_builtin_that_does_not_tell_takes_what_comes(self) -> None:
        entry = make_entry(max, NO_ROLES)
        self.assertEqual((entry.least, entry.most), (0, float("inf")))
        self.assertEqual(entry.fit((1, None)), (1, None))

    def test_a_generator_is_refused(self) -> None:
        def generator(connection: Any) -> Iterator[int]:
            yield 1

        async def asynchronous(connection: Any) -> AsyncIterator[int]:
            yield 1

        for function in (generator, asynchronous, functools.partial(generator)):
            for declare in (lambda one: make_entry(one, NO_ROLES), lambda one: check_handler(one, 1)):
                self.assertIn("inlineCallbacks", str(self.assertRaises(TypeError, declare, function)))

    def test_too_few_arguments_are_refused_with_the_call_that_would_be_made(self) -> None:
        for leading, call in ((1, "(connection, ...)"), (2, "(connection, reason or event, ...)")):
            error = self.assertRaises(TypeError, make_entry, lambda: None, NO_ROLES, leading=leading)
            self.assertIn(f"too few arguments: it is called with {call}", str(error))
        self.assertIn("called with (connection)", str(self.assertRaises(TypeError, check_handler, lambda: None, 1)))
        self.assertRaises(TypeError, check_handler, lambda *, connection=None: None, 1)
        self.assertRaises(TypeError, check_handler, lambda **connection: None, 1)

    def test_more_arguments_than_anybody_gives_are_refused(self) -> None:
        for function in (lambda connection, auth: None, lambda connection, auth, *rest: None):
            error = self.assertRaises(TypeError, check_handler, function, 1)
            self.assertIn("too many arguments: it is called with (connection)", str(error))
            make_entry(function, NO_ROLES)
        for function in (lambda connection, auth=None: None, lambda connection, *rest: None, lambda *args: None):
            check_handler(function, 1)
        self.assertRaises(TypeError, check_handler, lambda connection, reason, more: None, 2)

    def test_an_argument_that_only_a_name_could_give_is_refused(self) -> None:
        def named(connection: Any, *, data: Any) -> None: ...

        for declare in (lambda one: make_entry(one, NO_ROLES), lambda one: check_handler(one, 1)):
            self.assertIn("by its name", str(self.assertRaises(TypeError, declare, named)))
