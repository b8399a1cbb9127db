"""What a visitor of the demo sees: the page with its styles, its MISS and its HIT, and buttons
that purge it. SCREENSHOTS=DIRECTORY keeps the pictures of docs/."""

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from support.browser import chromium
from test_demo import Demo, url_of


@pytest.fixture
def browser(tmp_path):
    running = chromium(tmp_path)
    yield running
    errors = [entry for entry in running.get_log("browser") if entry["level"] == "SEVERE"]
    running.quit()
    assert errors == []


@pytest.fixture
def demo(tmp_path):
    running = Demo(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(30)


class Page:
    """The page that a browser shows."""

    def __init__(self, browser):
        self.browser = browser

    def text(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    @property
    def state(self):
        return self.text("#status"), self.text(".time")

    def click(self, button):
        """Clicks and waits for the page that comes after the purge."""
        old = self.browser.find_element(By.CSS_SELECTOR, ".time")
        self.browser.find_element(By.ID, button).click()
        wait = WebDriverWait(self.browser, 20, ignored_exceptions=[Exception])
        wait.until(lambda _: self.text(".time") != "" and not self._is_there(old))

    @staticmethod
    def _is_there(element):
        try:
            return element.is_displayed()
        except Exception:  # noqa: BLE001
            return False

    def picture(self, name):
        if directory := os.environ.get("SCREENSHOTS"):
            self.browser.save_screenshot(str(Path(directory) / name))


def test_the_page(demo, browser):
    url = url_of(demo)
    page = Page(browser)
    browser.get(url + "pages/news/")
    word, made_at = page.state
    assert word == "MISS"
    page.picture("demo-miss.png")
    status = browser.find_element(By.ID, "status")
    assert status.value_of_css_property("background-color") == "rgba(180, 83, 9, 1)"
    assert page.text("h1").startswith("News")

    browser.get(url + "pages/news/")
    assert page.state == ("HIT", made_at)
    browser.refresh()
    assert page.state == ("HIT", made_at)
    page.picture("demo-hit.png")


def test_the_buttons(demo, browser):
    url = url_of(demo)
    page = Page(browser)
    browser.get(url + "pages/about/")
    browser.get(url + "pages/news/?page=2")
    browser.get(url + "pages/news/?page=2")
    word, made_at = page.state
    assert word == "HIT"
    page.click("purge")
    again = page.state
    assert again[0] == "MISS"
    assert again[1] > made_at
    browser.get(url + "pages/about/")
    assert page.state[0] == "HIT"
    page.click("purge-all")
    assert page.state[0] == "MISS"
    browser.get(url + "pages/news/?page=2")
    assert page.state[0] == "MISS"
