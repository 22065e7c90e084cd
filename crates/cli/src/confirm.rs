//! Asking before something is lost.

use std::io::{self, IsTerminal};

use crate::Context;
use crate::error::{CliError, Exit};

impl Context {
    /// Lets a destructive command go on: `--yes`, or a person says so on a terminal. `what` says what will be lost ("delete 2 topics:
    /// a, b"); `name` is what a profile with `confirm` wants typed.
    ///
    /// # Errors
    /// Neither, or the profile is for reading only.
    pub(crate) fn confirm(&self, what: &str, name: &str, yes: bool) -> Result<(), CliError> {
        self.changes()?;
        if yes {
            return Ok(());
        }
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(CliError::usage(format!("not confirmed: {what}"))
                .fact("there is no terminal to ask on")
                .fix("--yes", "go on without being asked"));
        }
        let agreed = if self.profile.confirm {
            let question = format!("{what}; type {name} to go on");
            let typed: Result<String, _> =
                dialoguer::Input::new().with_prompt(question).allow_empty(true).interact_text();
            typed.map(|typed| typed == name)
        } else {
            dialoguer::Confirm::new().with_prompt(format!("{what}?")).default(false).interact()
        };
        match agreed {
            Ok(true) => Ok(()),
            Ok(false) => Err(CliError::new(Exit::Failed, "nothing was changed")),
            Err(dialoguer::Error::IO(error)) => {
                Err(CliError::new(Exit::Failed, format!("nothing was changed: {error}")))
            }
        }
    }
}
