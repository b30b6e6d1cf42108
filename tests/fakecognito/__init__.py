"""A Cognito user pool for tests: strict where the emulators are lax, and faulty to order.

    Pool        users, app clients, sessions, refresh tokens; the operations (no HTTP)
    FakeCognito the wire: targets, botocore's model of every request, signatures, errors, faults
    FakeSite    FakeCognito on a real socket; MemoryPoster: without one

That it behaves as boto3 expects is tested in tests/integration/test_fake_cognito.py.
"""

from tests.fakecognito.pool import AppClientRecord, Pool, User
from tests.fakecognito.service import Canned, Credentials, Delay, FakeCognito, Hang, Reset, error, html
from tests.fakecognito.wire import FakeSite, MemoryPoster

__all__ = [
    "AppClientRecord",
    "Canned",
    "Credentials",
    "Delay",
    "FakeCognito",
    "FakeSite",
    "Hang",
    "MemoryPoster",
    "Pool",
    "Reset",
    "User",
    "error",
    "html",
]
