"""The job of `apinizer-gitops plan` as a careful script: one process, all lists at once, libyaml.

It reads the tree of a commit through `git cat-file --batch`, parses with `CSafeLoader`, resolves
references, lists the 14 types over a connection pool with aiohttp, compares the declared fields
and says what differs. It checks no fields, knows no base and guards nothing.
"""

import asyncio
import os
import re
import subprocess
import sys

import aiohttp
import yaml

REFERENCE = re.compile(r"\$\{(env|var):([A-Za-z0-9_.-]+)\}")


def read_commit(repository):
    git = ["git", "-C", repository]
    listing = subprocess.run(
        [*git, "ls-tree", "-r", "-z", "main", "--", "connections"], check=True, capture_output=True
    ).stdout
    blobs = [line.split(b"\t", 1)[0].split()[2] for line in listing.split(b"\0") if line]
    batch = subprocess.run(
        [*git, "cat-file", "--batch"], check=True, capture_output=True, input=b"\n".join(blobs)
    ).stdout
    at = 0
    while at < len(batch):
        end = batch.index(b"\n", at)
        size = int(batch[at:end].split()[2])
        yield batch[end + 1 : end + 1 + size]
        at = end + size + 2


def resolve(value, variables):
    if isinstance(value, str) and "${" in value:
        whole = REFERENCE.fullmatch(value)
        if whole and whole[1] == "var":
            return variables[whole[2]]
        look_up = {"env": os.environ, "var": variables}
        return REFERENCE.sub(lambda found: str(look_up[found[1]][found[2]]), value)
    if isinstance(value, dict):
        return {key: resolve(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, variables) for item in value]
    return value


def declared(repository, variables):
    found = {}
    for blob in read_commit(repository):
        for document in yaml.load_all(blob, Loader=yaml.CSafeLoader):
            if document:
                document.pop("x-gitops", None)
                found[document["name"]] = resolve(document, variables)
    return found


async def listed(session, url, kind):
    async with session.get(url, params={"type": kind}) as answer:
        body = await answer.json()
        return {entry["name"]: entry for entry in body["resultList"]}


def differs(wanted, live):
    if isinstance(wanted, dict) and isinstance(live, dict):
        return any(differs(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) != len(live) or any(map(differs, wanted, live))
    return wanted != live and not (wanted in (None, "") and live in (None, ""))


async def main(repository, url, variables, kinds, secrets):
    wanted = declared(repository, variables)
    headers = {"Authorization": "Bearer " + os.environ["APINIZER_TOKEN"]}
    async with aiohttp.ClientSession(headers=headers) as session:
        lists = await asyncio.gather(*(listed(session, url, kind) for kind in kinds))
    live = {name: entry for entries in lists for name, entry in entries.items()}
    create = [name for name in wanted if name not in live]
    update = [
        name
        for name, fields in wanted.items()
        if name in live
        and any(
            differs(value, live[name].get(key)) for key, value in fields.items() if key not in secrets
        )
    ]
    print(f"{len(create)} to create, {len(update)} to update, {len(wanted)} declared")
    return 2 if create or update else 0


if __name__ == "__main__":
    import json

    options = json.loads(sys.argv[1])
    sys.exit(asyncio.run(main(**options)))
