# SPDX-License-Identifier: Apache-2.0
"""TracingPolicies: YAML to model (`parse`), model to a plan for this kernel (`plan`), plans to program
constants and map contents (`compile`), all of them switched at one instant (`switch`, `manager`).
docs/policies/engine.md shows the way of the data."""
