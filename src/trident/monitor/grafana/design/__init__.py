"""The dashboards in code. Needs grafana-foundation-sdk, which a developer has and an installed Trident has not."""
