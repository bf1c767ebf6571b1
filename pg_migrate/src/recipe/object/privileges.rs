//! grant, revoke. The way back is what was there before, not blindly the opposite.

use crate::document::model::Privileges;
use crate::fault::Result;
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::idents;

fn statement(op: &Privileges, grant: bool) -> String {
    let columns = if op.columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", idents(&op.columns))
    };
    let privileges: Vec<_> = op
        .privileges
        .iter()
        .map(|one| format!("{}{columns}", one.to_uppercase()))
        .collect();
    let what = format!(
        "{} ON {} {}",
        privileges.join(", "),
        op.kind.to_uppercase(),
        op.on.join(", ")
    );
    let roles = op.roles.join(", ");
    match (grant, op.grant_option) {
        (true, true) => format!("GRANT {what} TO {roles} WITH GRANT OPTION"),
        (true, false) => format!("GRANT {what} TO {roles}"),
        (false, true) => format!("REVOKE GRANT OPTION FOR {what} FROM {roles}"),
        (false, false) => format!("REVOKE {what} FROM {roles}"),
    }
}

impl Planner<'_> {
    pub fn privileges(&mut self, op: &Privileges, grant: bool) -> Result<()> {
        let sql = statement(op, grant);
        let back = {
            let back = self.facts.privileges_back(&sql, &op.kind, &op.on);
            self.known_now(back)?
        };
        // On what this migration makes: it leaves with its object.
        let back = back.unwrap_or_default();
        let phase = self.now();
        let step = unlocked(phase, sql.clone());
        if back.is_empty() {
            self.push(step);
            return Ok(());
        }
        let back = back.join(";\n");
        self.push(step.undo(back.clone()));
        self.inverse_sql(back, &sql);
        Ok(())
    }
}
