# SPDX-License-Identifier: Apache-2.0
"""What a client wants to see: which events (`allow`, `deny`), and which of their fields.

Everything here is pure: it works on parsed log records and never waits.
"""


class Refused(ValueError):
    """A request cannot be served as it is; the message names the field and what is wrong with it."""
