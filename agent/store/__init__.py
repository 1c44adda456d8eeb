# SPDX-License-Identifier: Apache-2.0
"""Closed segments to Parquet; queries and process trees over them and the live log."""
