//! x
use super::model::Operation;
use crate::fault::Result;
pub fn operations(_place: &str, _operations: &[Operation]) -> Result<()> {
    Ok(())
}
