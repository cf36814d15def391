//! The operator, and its tools for the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    security_baseline_operator::cli::main()
}
