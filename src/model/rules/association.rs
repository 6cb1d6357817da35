//! Associations: what one can be judged by itself. What stands at its ends is judged in
//! [`super::submission`] and, against the registry, in `service/registry/judge`. ITI TF-3 4.2.2.

use super::Checker;

impl Checker<'_> {
    pub(super) fn check_association(&mut self) {
        let object = self.object;
        if let (Some(source), Some(target)) = (&object.source_object, &object.target_object)
            && source == target
            && !source.is_empty()
        {
            let message = "is source and target at once; an association joins two objects";
            self.error("Association.targetObject", Some(target), message, "ITI TF-3 4.2.2");
        }
    }
}
