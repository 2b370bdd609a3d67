"""DECIDE: rules turn observations into findings, the policy turns findings and shortfalls into a verdict."""
