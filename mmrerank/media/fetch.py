"""One URL → its bytes, under a MediaPolicy: the walk along redirects, with the cache on disk."""

from __future__ import annotations

from mmrerank.errors import MediaRefused
from mmrerank.media.answers import REDIRECTS, Answer, medium_of
from mmrerank.media.deadline import Deadline
from mmrerank.media.http_cache import answer_through_cache
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.requesting import HEADERS, Tries, ask
from mmrerank.media.urls import Target, redirect_url, target_of

__all__ = ["fetch"]


def fetch(url: str, policy: MediaPolicy) -> bytes:
    """Read an http(s) URL within the policy's bytes and seconds; redirects are checked like it.

    No cookies, names, passwords, proxies or .netrc: nothing but the URL itself is sent, and behind
    a proxy the address check would be void. Raises MediaNotFound (404, 410), MediaRefused (401,
    403; address, host or scheme not allowed), MediaTooLarge, MediaUnreadable (all else).
    """
    deadline = Deadline.after(policy.timeout_s)
    tries = Tries(policy.max_retries)
    for _ in range(int(policy.max_redirects) + 1):
        target = target_of(url, policy)
        answer = _answer(target, policy, deadline, tries)
        if answer.status not in REDIRECTS:
            return medium_of(answer, policy)
        url = redirect_url(target.url, answer.headers.get("location"), answer.status)
    raise MediaRefused(
        f"more than {policy.max_redirects} redirects. Pass the final URL, or "
        "MediaPolicy(max_redirects=...)."
    )


def _answer(target: Target, policy: MediaPolicy, deadline: Deadline, tries: Tries) -> Answer:
    def ask_with(extra_headers: dict[str, str]) -> Answer:
        return ask(target, policy, deadline, tries, extra_headers)

    if policy.cache_dir is None:
        return ask_with({})
    return answer_through_cache(target.url, HEADERS, policy, ask_with)
