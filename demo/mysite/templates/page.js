// HIT or MISS of this very request: nginx names it in Server-Timing.
const [navigation] = performance.getEntriesByType("navigation");
const cache = navigation.serverTiming.find((entry) => entry.name === "cache");
const status = document.getElementById("status");
status.textContent = cache ? cache.description : "";
status.className = status.textContent.toLowerCase();

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    const token = await (await fetch("/token/", { cache: "no-store" })).text();
    const path = location.pathname + location.search;
    const response = await fetch(button.dataset.target, {
      method: "POST",
      headers: { "X-CSRFToken": token },
      body: new URLSearchParams({ path }),
    });
    if (response.ok) location.reload();
    else alert(await response.text());
  });
}
