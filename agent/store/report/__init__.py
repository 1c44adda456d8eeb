# SPDX-License-Identifier: Apache-2.0
"""The incident report: a timeline as one HTML file that needs nothing else. docs/report.md describes it.

    from agent.store.report.facts import Facts
    from agent.store.report.page import render

Pure: answers go in, text comes out. Nothing in here reads a log or writes a file.
"""
