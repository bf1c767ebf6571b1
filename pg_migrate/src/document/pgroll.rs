//! x
use crate::fault::Result;
use serde_json::Value;
pub fn adapt(_value: &mut Value) -> Result<()> {
    Ok(())
}
