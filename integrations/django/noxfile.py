"""Every check of the package. `nox` runs what CI runs; `nox -s tests` all versions of Django and
Python for which there is an interpreter."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
# The oldest and the newest Django; `nox -s tests` takes them all.
nox.options.sessions = [
    "lint",
    "types",
    "package",
    "tests(django-5.2-python-3.11)",
    "tests(django-6.1-python-3.13)",
]

PYTEST = ["pytest==9.2.0", "pytest-django==4.14.0"]

# Django and the versions of Python that it allows.
MATRIX = [
    nox.param(python, django, id=f"django-{django}-python-{python}")
    for django, pythons in {
        "5.2": ["3.10", "3.11", "3.12", "3.13", "3.14"],
        "6.0": ["3.12", "3.13", "3.14"],
        "6.1": ["3.12", "3.13", "3.14"],
    }.items()
    for python in pythons
]


@nox.session
@nox.parametrize(("python", "django"), MATRIX)
def tests(session: nox.Session, django: str) -> None:
    session.install(".[django-redis]", f"Django~={django}.0", *PYTEST)
    session.run("python", "-W", "error", "-c", "import django; print(django.__version__)")
    session.run("python", "-m", "pytest", "-q", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("ruff==0.17.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install(".[django-redis]", "mypy==2.4.1", "django-stubs==6.1.2", "Django~=5.2.0")
    session.run("mypy")


@nox.session
def package(session: nox.Session) -> None:
    """Wheel and source distribution, each in a clean virtual environment."""
    session.install("build==1.6.1", *PYTEST[:1])
    session.run("python", "-m", "pytest", "-q", "-c", "package_tests/pytest.ini", "package_tests")


@nox.session
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows."""
    pinned = ["Django==5.2", "django-redis==6.0.0", "http-sfv==0.9.9", "redis==5.1.0"]
    session.install(".", *pinned, *PYTEST)
    session.run("python", "-m", "pytest", "-q", *session.posargs)
