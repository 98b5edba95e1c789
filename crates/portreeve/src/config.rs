//! `portreeve config`: is the service's configuration right, and what may it say?

use crate::{Failure, SourceArgs, USAGE, say};
use clap::{Args, Subcommand};
use portreeve_server::config::{self, Config};
use std::path::PathBuf;

/// Check the configuration of the service, or say what it may hold
#[derive(Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Say all that is wrong with a file, with line, column and field, without starting anything
    Check {
        /// The configuration (TOML)
        #[arg(
            value_name = "FILE",
            env = "PORTREEVE_CONFIG",
            default_value = "/etc/portreeve/portreeve.toml"
        )]
        file: PathBuf,
        #[command(flatten)]
        own: SourceArgs,
    },
    /// Print the JSON Schema of the file
    Schema,
}

impl ConfigCommand {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self.act {
            Act::Schema => say(&config::schema()),
            Act::Check { file, own } => {
                let mut wrong: Vec<String> =
                    Config::look_over(&file).iter().map(ToString::to_string).collect();
                if wrong.is_empty() {
                    wrong.extend(rehearsed(&file, &own));
                }
                if wrong.is_empty() {
                    return say(&format!("{}: good", file.display()));
                }
                Err(Failure { code: USAGE, text: wrong.join("\n") })
            }
        }
    }
}

/// What is wrong with the files that it names.
fn rehearsed(file: &std::path::Path, own: &SourceArgs) -> Option<String> {
    let config = match Config::read(file) {
        Ok(config) => config,
        Err(error) => return Some(error.to_string()),
    };
    let own = SourceArgs { sources: own.sources.clone().or(config.context.sources.clone()) };
    match own.catalog(config.context.dir.as_deref()) {
        Ok(catalog) => portreeve_server::rehearse(&config, catalog).err().map(|e| e.to_string()),
        Err(failure) => Some(failure.text),
    }
}
