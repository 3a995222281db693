"""The third-party notices: they name what the lock file has, with the license that each package states."""

from __future__ import annotations

from importlib import metadata

import pytest

from tools import licenses, notices


def test_the_notices_are_current() -> None:
    assert notices.NOTICES.read_text(encoding="utf-8") == notices.text(), "run `make generated`"


def test_they_say_what_must_be_said_of_the_driver_for_postgresql() -> None:
    found = {package.name: package for package in licenses.packages()}
    assert {name for name, package in found.items() if "GPL" in package.license} == {"psycopg", "psycopg-binary"}
    assert found["psycopg"].needed_by == found["psycopg-binary"].needed_by == ("postgres",)
    assert {"libpq", "libssl", "libcrypto"} <= set(found["psycopg-binary"].libraries)


def test_a_license_that_nobody_reviewed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licenses, "REVIEWED", licenses.REVIEWED - {"MPL-2.0"})
    with pytest.raises(licenses.LicenseUnknownError, match=r"certifi has the license 'MPL-2.0'"):
        licenses.packages()


def test_a_package_that_states_no_license_is_refused() -> None:
    with pytest.raises(licenses.LicenseUnknownError, match="is not installed"):
        licenses.license_of("a-package-that-is-not-here")


def test_each_license_text_is_installed_beside_its_package() -> None:
    """The notices say so: the image is complete with nothing added."""
    words = ("LICEN", "COPYING")
    for package in licenses.packages():
        try:
            files = metadata.files(package.name) or []
        except metadata.PackageNotFoundError:
            assert package.name in {"async-timeout", "tzdata"}
            continue
        texts = [file for file in files if ".dist-info" in str(file) and file.name.upper().startswith(words)]
        assert texts, package.name
        assert all(text.locate().is_file() for text in texts)  # type: ignore[attr-defined]
