# SPDX-License-Identifier: Apache-2.0
"""How the base sensor's programs hang on the kernel: by themselves, or behind posts where they may outlive
the agent."""

from __future__ import annotations

import os
from collections.abc import Iterable

from agent.kernel.choices import Choice
from agent.kernel.links import program_id, program_info
from agent.kernel.objects import BpfObject
from agent.kernel.posts import CAN_STAND, TRACEPOINTS, Posts, open_map


class Standing:
    """What is asked of one program at a time; `question` and `choice` say which one it is."""

    def __init__(self, loaded: BpfObject, posts: Posts | None) -> None:
        self._loaded = loaded
        self._posts = posts

    def adopt(self, chosen: dict[str, Choice], seconds: Iterable[str], *, has_processes: bool) -> None:
        """Takes over the posts of an agent before, before anything is loaded. They are of use with its maps
        only; `has_processes`: the process map is. `seconds`: questions with a program that stands in."""
        if not self._posts:
            return
        wanted = {question for question, choice in chosen.items() if self._stands(question, choice)}
        wanted |= {f"{question}_again" for question in wanted.intersection(seconds)}
        name = "container_cgroups"
        fd = open_map(self._posts.directory, name, self._loaded.map_shape(name))
        if self._posts.adopt(wanted) and has_processes and fd >= 0:
            self._loaded.reuse(name, fd)
        else:
            self._posts.drop()
        if fd >= 0:
            os.close(fd)

    def lay_out(self) -> None:
        """After the start."""
        if self._posts:
            names = ("container_cgroups", "counters", "events")
            self._posts.lay_out({name: self._loaded.map(name).fd for name in names})

    def attach(self, question: str, choice: Choice, program: str) -> None:
        """Raises KernelRefused."""
        if self._posts and self._stands(question, choice):
            self._posts.put(_post(question, choice, program), choice.kind, self._loaded.program_fd(program))
        else:
            self._loaded.attach(program)

    def detach(self, question: str, choice: Choice, program: str) -> None:
        """Pinned or not."""
        if self._posts and self._stands(question, choice):
            self._posts.leave(_post(question, choice, program))
        else:
            self._loaded.detach(program)

    def is_attached(self, question: str, choice: Choice, program: str) -> bool:
        """Asked of the kernel."""
        if self._posts and self._stands(question, choice):
            return self._posts.is_attached(_post(question, choice, program))
        there = self._loaded.attached_program(program)
        return bool(there) and there == program_id(self._loaded.program_fd(program))

    def skipped(self, question: str, choice: Choice, program: str) -> int:
        """Runs that the kernel skipped because the program was running on that CPU already."""
        if self._posts and self._stands(question, choice):
            return self._posts.missed(_post(question, choice, program))
        return program_info(self._loaded.program_fd(program)).recursion_misses

    def outlives(self, question: str, choice: Choice) -> bool:
        """Whether it goes on when this process ends."""
        return self._posts is not None and self._posts.is_kept and self._stands(question, choice)

    def tell(self, losses: bytes) -> None:
        """For the next agent."""
        if self._posts:
            self._posts.tell(losses)

    def close(self) -> None:
        """Detaches what does not outlive this process and stands behind a post."""
        if self._posts:
            self._posts.close()

    def _stands(self, question: str, choice: Choice) -> bool:
        return self._posts is not None and question in TRACEPOINTS and choice.kind in CAN_STAND


def _post(question: str, choice: Choice, program: str) -> str:
    return question if program == choice.program else f"{question}_again"
