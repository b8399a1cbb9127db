"""The goals of docs/performance.md, against the medians of one run."""


def goals(all_medians):
    """The goals of docs/performance.md, and whether these tables meet them."""
    event, ret, mc, lua = "redis_cache, event", "return 200", "memcached_pass", "Lua cosocket"
    tls, tcp = "redis_cache, event, TLS", "redis_cache, event, TCP"
    cluster = "redis_cache, event, Cluster"
    small, medium = all_medians["1k"], all_medians["16k"]
    rows = [
        ("1 KiB: nginx CPU against return 200", small[event]["nginx"] / small[ret]["nginx"], "<=", 1.15),
        ("1 KiB: requests/s against return 200", small[event]["rate"] / small[ret]["rate"], ">=", 0.85),
        ("1 KiB: requests/s against memcached_pass", small[event]["rate"] / small[mc]["rate"], ">=", 1.5),
        ("1 KiB: nginx + server CPU against memcached_pass", total(small[event]) / total(small[mc]), "<=", 0.55),
        ("16 KiB: requests/s against memcached_pass", medium[event]["rate"] / medium[mc]["rate"], ">=", 1.3),
        ("16 KiB: requests/s against Lua", medium[event]["rate"] / medium[lua]["rate"], ">=", 1.6),
    ]
    rows.append(("1 KiB: nginx CPU, TLS against TCP", small[tls]["nginx"] / small[tcp]["nginx"], "<=", 1.5))
    rows.append(("1 KiB: nginx CPU, Cluster against TCP", small[cluster]["nginx"] / small[tcp]["nginx"], "<=", 1.15))
    for label in ["128k", "1m"]:
        at = all_medians[label]
        rows.append((f"{label}: requests/s against memcached_pass", at[event]["rate"] / at[mc]["rate"], ">=", 1.0))
        rows.append((f"{label}: nginx + server CPU against memcached_pass", total(at[event]) / total(at[mc]), "<=", 1.0))
    one = all_medians["one connection"]
    rows.append(("one connection: p50 against memcached_pass", one[event]["p50"] / one[mc]["p50"], "<=", 1.0))
    hot = all_medians["hot"]
    rows.append(("one hot key, 16 KiB: Redis CPU against 1,000 keys", hot[event]["helper"] / medium[event]["helper"], "<=", 0.3))
    rows.append(("1 KiB: reads of Redis a request", small[event]["reads"], "<=", 0.2))
    print("\n### Goals\n\n| figure | measured | goal | |\n|---|---|---|---|")
    for name, value, how, goal in rows:
        met = value <= goal if how == "<=" else value >= goal
        print(f"| {name} | {value:.2f} | {how} {goal} | {'met' if met else 'missed'} |")


def total(result):
    return result["nginx"] + result["helper"]
