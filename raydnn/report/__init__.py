"""Reports: one HTML file of tables and charts that needs nothing but itself.

run = raydnn.config.load("run.yaml")
raydnn.report.write_report(run)
"""

from raydnn.report.run_report import ReportPlaces, write_report

__all__ = ["ReportPlaces", "write_report"]
