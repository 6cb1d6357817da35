//! The functions: one table of names and arguments, one file per family.

mod collections;
mod conversion;
mod fhir;
mod math;
mod strings;

use super::ast::Call;
use super::eval::{Env, Evaluated, Evaluator};
use super::value::Collection;
use regex::Regex;

pub use fhir::contained;

macro_rules! functions {
    ($($variant:ident $name:literal $min:literal $max:literal;)+) => {
        /// A function by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function { $($variant),+ }

        impl Function {
            /// Name, function, least and most arguments.
            pub const TABLE: &[(&str, Function, usize, usize)] = &[$(($name, Function::$variant, $min, $max)),+];
        }
    };
}

functions! {
    // existence (FHIRPath 2.0 5.1)
    Empty "empty" 0 0;
    Exists "exists" 0 1;
    All "all" 1 1;
    AllTrue "allTrue" 0 0;
    AnyTrue "anyTrue" 0 0;
    AllFalse "allFalse" 0 0;
    AnyFalse "anyFalse" 0 0;
    SubsetOf "subsetOf" 1 1;
    SupersetOf "supersetOf" 1 1;
    Count "count" 0 0;
    Distinct "distinct" 0 0;
    IsDistinct "isDistinct" 0 0;
    // filtering and projection (5.2)
    Where "where" 1 1;
    Select "select" 1 1;
    Repeat "repeat" 1 1;
    OfType "ofType" 1 1;
    // subsetting (5.3)
    Single "single" 0 0;
    First "first" 0 0;
    Last "last" 0 0;
    Tail "tail" 0 0;
    Skip "skip" 1 1;
    Take "take" 1 1;
    Intersect "intersect" 1 1;
    Exclude "exclude" 1 1;
    // combining (5.4)
    Union "union" 1 1;
    Combine "combine" 1 1;
    // conversion (5.5)
    Iif "iif" 2 3;
    ToBoolean "toBoolean" 0 0;
    ConvertsToBoolean "convertsToBoolean" 0 0;
    ToInteger "toInteger" 0 0;
    ConvertsToInteger "convertsToInteger" 0 0;
    ToDate "toDate" 0 0;
    ConvertsToDate "convertsToDate" 0 0;
    ToDateTime "toDateTime" 0 0;
    ConvertsToDateTime "convertsToDateTime" 0 0;
    ToDecimal "toDecimal" 0 0;
    ConvertsToDecimal "convertsToDecimal" 0 0;
    ToQuantity "toQuantity" 0 1;
    ConvertsToQuantity "convertsToQuantity" 0 1;
    ToString "toString" 0 0;
    ConvertsToString "convertsToString" 0 0;
    ToTime "toTime" 0 0;
    ConvertsToTime "convertsToTime" 0 0;
    // strings (5.6)
    IndexOf "indexOf" 1 1;
    LastIndexOf "lastIndexOf" 1 1;
    Substring "substring" 1 2;
    StartsWith "startsWith" 1 1;
    EndsWith "endsWith" 1 1;
    Contains "contains" 1 1;
    Upper "upper" 0 0;
    Lower "lower" 0 0;
    Replace "replace" 2 2;
    Matches "matches" 1 1;
    MatchesFull "matchesFull" 1 1;
    ReplaceMatches "replaceMatches" 2 2;
    Length "length" 0 0;
    ToChars "toChars" 0 0;
    Trim "trim" 0 0;
    Split "split" 1 1;
    Join "join" 0 1;
    Encode "encode" 1 1;
    Decode "decode" 1 1;
    Escape "escape" 1 1;
    Unescape "unescape" 1 1;
    // math (5.7)
    Abs "abs" 0 0;
    Ceiling "ceiling" 0 0;
    Exp "exp" 0 0;
    Floor "floor" 0 0;
    Ln "ln" 0 0;
    Log "log" 1 1;
    Power "power" 1 1;
    Round "round" 0 1;
    Sqrt "sqrt" 0 0;
    Truncate "truncate" 0 0;
    // tree navigation (5.8)
    Children "children" 0 0;
    Descendants "descendants" 0 0;
    // utility (5.9) and aggregates (7.1)
    Trace "trace" 1 2;
    Now "now" 0 0;
    TimeOfDay "timeOfDay" 0 0;
    Today "today" 0 0;
    Aggregate "aggregate" 1 2;
    // types (6.3)
    Is "is" 1 1;
    As "as" 1 1;
    Type "type" 0 0;
    // logic (6.5.3)
    Not "not" 0 0;
    // FHIR (FHIR R4 2.9.1.6.3)
    Extension "extension" 1 1;
    HasValue "hasValue" 0 0;
    GetValue "getValue" 0 0;
    Resolve "resolve" 0 0;
    MemberOf "memberOf" 1 1;
    ConformsTo "conformsTo" 1 1;
    HtmlChecks "htmlChecks" 0 0;
}

impl Function {
    pub fn find(name: &str) -> Option<(Self, usize, usize)> {
        Self::TABLE.iter().find(|row| row.0 == name).map(|row| (row.1, row.2, row.3))
    }

    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }

    /// Whether its argument is the name of a type.
    pub fn takes_type(self) -> bool {
        matches!(self, Self::OfType | Self::Is | Self::As)
    }

    /// Whether its first argument is a regular expression.
    pub fn takes_pattern(self) -> bool {
        matches!(self, Self::Matches | Self::MatchesFull | Self::ReplaceMatches)
    }

    /// A pattern as this function applies it: a part of the text is enough for `matches` (FHIRPath 2.0 5.6.9), a point
    /// stands for line ends, too. Look-around and back references are not known (no published invariant has them).
    pub fn pattern(self, text: &str) -> Result<Regex, regex::Error> {
        let whole = if self == Self::MatchesFull { format!("^(?:{text})$") } else { text.to_owned() };
        regex::RegexBuilder::new(&whole).dot_matches_new_line(true).size_limit(4 << 20).build()
    }
}

pub fn call<'a>(
    evaluator: &Evaluator<'_, 'a>,
    call: &Call,
    input: Collection<'a>,
    env: Env<'_, 'a>,
) -> Evaluated<'a> {
    use Function as F;
    match call.function {
        F::Empty
        | F::Exists
        | F::All
        | F::AllTrue
        | F::AnyTrue
        | F::AllFalse
        | F::AnyFalse
        | F::SubsetOf
        | F::SupersetOf
        | F::Count
        | F::Distinct
        | F::IsDistinct
        | F::Where
        | F::Select
        | F::Repeat
        | F::OfType
        | F::Single
        | F::First
        | F::Last
        | F::Tail
        | F::Skip
        | F::Take
        | F::Intersect
        | F::Exclude
        | F::Union
        | F::Combine
        | F::Aggregate
        | F::Not => collections::call(evaluator, call, input, env),
        F::Iif
        | F::ToBoolean
        | F::ConvertsToBoolean
        | F::ToInteger
        | F::ConvertsToInteger
        | F::ToDate
        | F::ConvertsToDate
        | F::ToDateTime
        | F::ConvertsToDateTime
        | F::ToDecimal
        | F::ConvertsToDecimal
        | F::ToQuantity
        | F::ConvertsToQuantity
        | F::ToString
        | F::ConvertsToString
        | F::ToTime
        | F::ConvertsToTime => conversion::call(evaluator, call, input, env),
        F::IndexOf
        | F::LastIndexOf
        | F::Substring
        | F::StartsWith
        | F::EndsWith
        | F::Contains
        | F::Upper
        | F::Lower
        | F::Replace
        | F::Matches
        | F::MatchesFull
        | F::ReplaceMatches
        | F::Length
        | F::ToChars
        | F::Trim
        | F::Split
        | F::Join
        | F::Encode
        | F::Decode
        | F::Escape
        | F::Unescape => strings::call(evaluator, call, &input, env),
        F::Abs
        | F::Ceiling
        | F::Exp
        | F::Floor
        | F::Ln
        | F::Log
        | F::Power
        | F::Round
        | F::Sqrt
        | F::Truncate => math::call(evaluator, call, &input, env),
        F::Children
        | F::Descendants
        | F::Trace
        | F::Now
        | F::TimeOfDay
        | F::Today
        | F::Is
        | F::As
        | F::Type
        | F::Extension
        | F::HasValue
        | F::GetValue
        | F::Resolve
        | F::MemberOf
        | F::ConformsTo
        | F::HtmlChecks => fhir::call(evaluator, call, input, env),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = Function::TABLE.iter().map(|row| row.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Function::TABLE.len());
    }
}
