"""Packaging of wsservice: metadata and dependencies. Tool settings stand in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "wsservice/__init__.py").read_text())[1]

REDIS = ["txredisapi>=1.6"]
SENTRY = ["sentry-sdk>=2.30"]

TEST = [
    *REDIS,
    *SENTRY,
    "coverage>=7.10",
    "hypothesis>=6.100",
    "websockets>=15",
    "moto[cognitoidp]>=5.2",
    "flask",
    # the files of deploy/kubernetes
    "pyyaml",
    "flask-cors",
    "selenium>=4.20",
    "python-socketio[asyncio-client]>=5.12",
    # of python-socketio's RedisManager
    "redis>=5",
    # the example with Django, and users' tests of their apps
    "django>=5.2",
    "pytest>=8",
    # of the examples in docs/
    "PyYAML>=6",
    # build the archives that the tests install
    "build>=1.2",
    "setuptools>=70.1",
]

# The Python peers of benchmarks/, as fast as they come
BENCH = ["uvicorn>=0.35", "uvloop>=0.21", "httptools>=0.6"]

setup(
    name="wsservice",
    version=VERSION,
    description="A realtime server for browsers that log in by cookie: WebSocket and Cognito on Twisted",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # By hand: find_packages() misses twisted.plugins, find_namespace_packages() would pack the tests.
    packages=[
        "wsservice",
        "wsservice.admin",
        "wsservice.adapters",
        "wsservice.adapters.redis",
        "wsservice.auth",
        "wsservice.auth.providers",
        "wsservice.cli",
        "wsservice.cli.client",
        "wsservice.cli.doctor",
        "wsservice.clients",
        "wsservice.demo",
        "wsservice.engineio",
        "wsservice.metrics",
        "wsservice.peers",
        "wsservice.socketio",
        "wsservice.testing",
        "wsservice.transports",
        "wsservice.web",
        "twisted.plugins",
    ],
    entry_points={"console_scripts": ["wsservice = wsservice.cli:main"]},
    package_data={"wsservice": ["py.typed", "demo/static/*", "demo/static/client/*.js"]},
    # Without it an editable install hides the plugin from twistd (docs/architecture.md).
    package_dir={"": "."},
    # The lower bounds install together, and the tests pass on them: each pyOpenSSL allows few versions of cryptography.
    install_requires=[
        "Twisted[tls]>=26.4",
        "autobahn>=26.7.1",
        "pyOpenSSL>=26.3",
        "PyJWT>=2.13",
        "cryptography>=49",
        "treq>=25.5",
        "msgspec>=0.21",
        "python-dotenv>=1.0",
        "prometheus-client>=0.22",
    ],
    extras_require={
        "redis": REDIS,
        "sentry": SENTRY,
        "test": TEST,
        "bench": [*TEST, *BENCH],
        "dev": [*TEST, "mypy>=1.15", "mypy-zope", "ruff>=0.12"],
    },
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
