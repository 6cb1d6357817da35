//! Rule tables: how many of each attribute, which type, which code. ITI TF-3 4.2.3.
pub mod submission;
pub struct Rules<'a>(std::marker::PhantomData<&'a ()>);
pub fn check_object(
    _: &super::ebrim::RegistryObject,
    _: &Rules<'_>,
    _: &mut Vec<super::error::RegistryError>,
) {
}
