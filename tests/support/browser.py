"""Headless Chromium."""

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service


def chromium(directory: Path) -> webdriver.Chrome:
    """A browser with a profile of its own; to be ended with `quit()`."""
    options = Options()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=900,780", f"--user-data-dir={directory / 'profile'}",
        # It is to ask this machine and no other.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver"), log_output=str(directory / "driver.log"))
    return webdriver.Chrome(options, service)
