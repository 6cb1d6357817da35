//! What is found wrong, as it is told: in English and Japanese, with what to do. One table of rules, a row each.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The Bundle would be refused.
    Error,
    /// It would be taken; somebody should look at it.
    Warning,
}

/// Who makes the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// RFC 8259 and FHIR R4 2.6.2.
    Json,
    /// FHIR R4.
    FhirBase,
    /// The shape a profile gives.
    ProfileStructure,
    /// An expression of a profile.
    ProfileInvariant,
    /// The guide's text, where no published expression stands for it.
    GuideText,
    /// What the service compares besides the Bundle's own rules.
    Service,
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::FhirBase => "fhir-base",
            Self::ProfileStructure => "profile-structure",
            Self::ProfileInvariant => "profile-invariant",
            Self::GuideText => "guide-text",
            Self::Service => "service",
        }
    }
}

/// One broken rule at one element.
#[derive(Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant's key, or a name of [`Rule::TABLE`].
    pub rule: String,
    /// The number the publication prints (`R1013`), where it has one.
    pub label: Option<String>,
    pub severity: Severity,
    pub layer: Layer,
    /// FHIRPath from the root of what was checked: `Bundle.entry[1].resource.code.coding[0]`.
    pub path: String,
    /// What stands there, cut to 200 characters. The only part that may hold a patient's data: for the facility's own
    /// eyes, never for a log.
    pub value: Option<String>,
    pub message: String,
    pub message_ja: String,
    /// What to do.
    pub hint: String,
    pub hint_ja: String,
    /// The profile that has the rule.
    pub profile: Option<String>,
}

impl Finding {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Without the value.
impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.severity, self.rule)?;
        if let Some(label) = &self.label {
            write!(f, " ({label})")?;
        }
        write!(f, " at {}: {}", self.path, self.message)
    }
}

/// Whether nothing forbids sending.
pub fn passes(findings: &[Finding]) -> bool {
    !findings.iter().any(Finding::is_error)
}

/// A value as a finding shows it.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

macro_rules! rules {
    ($($variant:ident $name:literal $severity:ident $layer:ident $en:literal $ja:literal $hint:literal $hint_ja:literal;)+) => {
        /// A rule that is no published expression. In the texts `{}` stands for what differs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule { $($variant),+ }

        impl Rule {
            pub const TABLE: &[Rule] = &[$(Rule::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn row(self) -> (Severity, Layer, &'static str, &'static str, &'static str, &'static str) {
                match self { $(Self::$variant => (Severity::$severity, Layer::$layer, $en, $ja, $hint, $hint_ja)),+ }
            }
        }
    };
}

rules! {
    // JSON
    Json "json" Error Json "not JSON: {}" "JSONとして読めません: {}"
        "correct the text at that line and column" "示された行と桁を直してください";
    NotObject "json-object" Error Json "an object is due here" "オブジェクトでなければなりません"
        "write the element as an object" "要素をオブジェクトとして書いてください";
    NotArray "json-array" Error Json "{} may repeat and is written as an array" "{} は繰り返し要素なので配列で書きます"
        "put the value into an array" "値を配列に入れてください";
    IsArray "json-single" Error Json "{} does not repeat and is no array" "{} は繰り返さない要素なので配列にできません"
        "write the one value without an array" "配列にせず値を1つだけ書いてください";
    Empty "json-empty" Error Json "empty arrays, objects, texts and nulls may not be written" "空の配列・オブジェクト・文字列・nullは書けません"
        "leave the element out" "要素ごと省いてください";
    // FHIR R4
    ResourceType "resource-type" Error FhirBase "{} is no resource type of FHIR R4" "{} はFHIR R4のリソース種別ではありません"
        "name the resource type in resourceType" "resourceTypeにリソース種別を書いてください";
    Unknown "element-unknown" Error FhirBase "{} is no element here" "{} という要素はここにはありません"
        "remove the element or spell it as FHIR R4 does" "要素を削るか、FHIR R4のとおりの名前にしてください";
    ChoiceMany "choice-many" Error FhirBase "{}[x] may have one type only" "{}[x] は型を1つだけ選べます"
        "keep one of them" "どれか1つだけ残してください";
    Type "type" Error FhirBase "not a {}" "{} 型の値ではありません"
        "write the value in the form of its type" "型に合う形式で値を書いてください";
    Format "format" Error FhirBase "not in the form of {}" "{} の形式ではありません"
        "write the value in the form of its type" "型に合う形式で値を書いてください";
    Ele1 "ele-1" Error FhirBase "an element has a value or children" "要素には値か子要素が必要です"
        "leave the element out" "要素ごと省いてください";
    BaseInvariant "fhir-invariant" Error FhirBase "{}" "FHIR R4の制約を満たしていません: {}"
        "see the rule of that key in FHIR R4" "FHIR R4のその制約の説明を見てください";
    BaseBinding "binding-base" Error FhirBase "not a code of {}" "{} のコードではありません"
        "use a code of that value set" "値セットにあるコードを使ってください";
    Bdl7 "bdl-7" Error FhirBase "the fullUrl stands twice" "fullUrlが重複しています"
        "give every entry a fresh urn:uuid" "entryごとに新しいurn:uuidを付けてください";
    RefContained "ref-contained" Error FhirBase "no contained resource has the id {}" "contained内にid {} のリソースがありません"
        "put the resource into contained, or correct the reference" "containedにリソースを入れるか、参照を直してください";
    RefUnresolved "ref-unresolved" Error FhirBase "no entry has this fullUrl" "このfullUrlのentryがありません"
        "add the resource to the Bundle, or correct the reference" "Bundleにリソースを加えるか、参照を直してください";
    RefTarget "ref-target" Error FhirBase "a {} may not be referred to here" "{} はここから参照できません"
        "refer to a resource of an allowed type" "許された種別のリソースを参照してください";
    ContainedUnused "dom-3" Error FhirBase "a contained resource nobody refers to" "どこからも参照されないcontainedリソースです"
        "refer to it or remove it" "参照するか、削ってください";
    ContainedId "contained-id" Error FhirBase "a contained resource needs an id, and one of its own" "containedリソースには固有のidが必要です"
        "give it an id" "idを付けてください";
    // profiles
    CardMin "card-min" Error ProfileStructure "at least {} needed" "{} 個以上必要です"
        "add the element" "要素を加えてください";
    CardMax "card-max" Error ProfileStructure "at most {} allowed" "{} 個までです"
        "remove what is too much" "余分な要素を削ってください";
    Fixed "fixed" Error ProfileStructure "the profile fixes the value: {}" "プロファイルの固定値と異なります: {}"
        "write exactly the fixed value" "固定値をそのまま書いてください";
    Pattern "pattern" Error ProfileStructure "the profile asks for at least: {}" "プロファイルが求める値を含んでいません: {}"
        "write what the pattern has; more may stand beside it" "パターンの値を書いてください(ほかの値を添えても構いません)";
    ProfileType "profile-element-type" Error ProfileStructure "the profile allows here only: {}" "プロファイルが許す型は {} だけです"
        "use an allowed type" "許された型を使ってください";
    SliceMin "slice-min" Error ProfileStructure "slice {}" "スライス {}"
        "add an element that matches the slice" "スライスに当てはまる要素を加えてください";
    SliceMax "slice-max" Error ProfileStructure "slice {}" "スライス {}"
        "remove what is too much" "余分な要素を削ってください";
    SliceClosed "slice-closed" Error ProfileStructure "no slice of the closed list fits: {}" "閉じたスライスのどれにも当てはまりません: {}"
        "remove the element, or make it fit one of the slices" "要素を削るか、いずれかのスライスに合わせてください";
    SliceOrder "slice-order" Warning ProfileStructure "slice {} stands after a later one" "スライス {} の順序が違います"
        "put the elements in the order of the profile" "プロファイルの順に並べてください";
    Binding "binding" Error ProfileStructure "not a code of {}" "値セット {} のコードではありません"
        "use a code of that value set" "値セットにあるコードを使ってください";
    BindingUsual "binding-extensible" Warning ProfileStructure "not a code of {}, which is to be used where it has a fitting one" "値セット {} に当てはまるコードがあればそれを使います"
        "use a code of that value set if one fits" "当てはまるコードがあれば使ってください";
    MaxLength "max-length" Error ProfileStructure "longer than {} characters" "{} 文字を超えています"
        "shorten the text" "短くしてください";
    ProfileOf "profile-mismatch" Error ProfileStructure "the declared profile {} is for another resource type" "宣言されたプロファイル {} は別のリソース種別のものです"
        "declare the profile of this resource type" "このリソース種別のプロファイルを書いてください";
    ProfileMissing "profile-not-loaded" Warning ProfileStructure "the profile {} is not loaded: its rules were not checked" "プロファイル {} が読み込まれていないため検査していません"
        "add the package that has it to national.packages" "そのパッケージをnational.packagesに加えてください";
    ReferenceProfile "ref-profile" Warning ProfileStructure "what is referred to conforms to none of: {}" "参照先が次のどのプロファイルにも適合しません: {}"
        "declare and meet one of the profiles in the resource referred to" "参照先のリソースをいずれかのプロファイルに適合させてください";
    InvariantError "invariant-error" Error ProfileInvariant "the expression of {} has no result here" "制約 {} の式がここでは評価できません"
        "look for an element that stands more than once" "同じ要素が複数ないか確かめてください";
    // the guide's text
    KindUnknown "kind-unknown" Error GuideText "no kind the service takes: Bundle.meta.profile does not tell" "サービスが受け取る種類のBundleではありません(Bundle.meta.profile)"
        "declare one of the Bundle profiles of JP-CLINS" "JP-CLINSのBundleプロファイルを書いてください";
    MixedTypes "mixed-types" Error GuideText "one Bundle carries resources of one type, not {}" "1つのBundleに入れられるのは1種類のリソースだけです({})"
        "send one Bundle per type" "種別ごとにBundleを分けてください";
    TextKana "text-half-width-kana" Error GuideText "half-width kana in a text to be displayed" "表示用文字列に半角カナがあります"
        "write full-width kana" "全角カナで書いてください";
    TextSpace "text-full-width-space" Error GuideText "a full-width space in a text to be displayed" "表示用文字列に全角空白があります"
        "write a half-width space or none" "半角空白にするか、空白を取り除いてください";
    TextControl "text-control" Error GuideText "a control character in a text to be displayed" "表示用文字列に制御文字があります"
        "remove it" "取り除いてください";
    InsuredWidth "insured-width" Error GuideText "記号 and 番号 are both full-width or both half-width" "記号と番号は全角か半角のどちらかに揃えます"
        "write both in one width" "どちらかに揃えてください";
    InsuredBranch "insured-branch-missing" Warning GuideText "no branch number (枝番)" "枝番がありません"
        "ask the online qualification for the branch number; the service refuses numbers that are not current" "オンライン資格確認で枝番を確かめてください(現行でない番号は受け取られません)";
    InsuredBranchZero "insured-branch-zero" Warning GuideText "branch number 00: where there is none it is left empty" "枝番00: 枝番がない場合は空にします"
        "leave the branch number empty" "枝番を空にしてください";
    LabUnlisted "lab-display-unlisted" Warning GuideText "the display is none of the listed items': the item may not be recognised" "表示名が検査項目一覧にないため、項目として認識されないことがあります"
        "use the display the profile fixes for the item" "プロファイルが定める項目の表示名を使ってください";
    LabCode "lab-code-unlisted" Warning GuideText "the code is none listed for this item" "この項目のコードとして一覧にありません"
        "use a listed JLAC code of the item" "項目に挙げられたJLACコードを使ってください";
    LabNone "lab-no-listed-item" Warning GuideText "none of the results is a listed item" "対象の検査項目が1つも含まれていません"
        "send reports with at least one listed item" "対象項目を含む報告だけを送ってください";
    LogicalReference "ref-logical" Warning GuideText "a reference without a resource (identifier or display alone) is not used" "リソースのない参照(identifierやdisplayだけ)は使われません"
        "put the resource into contained and refer to it" "containedにリソースを入れて参照してください";
    FullUrlForm "full-url-form" Warning GuideText "fullUrl is not urn:uuid:" "fullUrlがurn:uuid:ではありません"
        "write a fresh urn:uuid" "新しいurn:uuidを書いてください";
    // what the service compares
    InstitutionMismatch "institution-mismatch" Error Service "the institution is another than {} of the Bundle's identifier" "Bundleの文書IDの医療機関番号 {} と異なります"
        "write one institution number throughout" "医療機関番号を揃えてください";
    DestinationMissing "destination-number" Error Service "the destination has no 10-digit institution number" "紹介先の10桁の医療機関番号がありません"
        "write the number of the destination in its Organization" "紹介先Organizationに医療機関番号を書いてください";
    TooLarge "too-large" Error Service "{} bytes: more than the service takes" "{} バイト: サービスの上限を超えています"
        "leave out attachments; nothing is split" "添付を減らしてください(分割はできません)";
}

impl Rule {
    /// The finding; `detail` stands for `{}` in the texts.
    pub fn at(self, path: &str, detail: &str) -> Finding {
        let (severity, layer, en, ja, hint, hint_ja) = self.row();
        Finding {
            rule: self.name().to_owned(),
            label: None,
            severity,
            layer,
            path: path.to_owned(),
            value: None,
            message: en.replace("{}", detail),
            message_ja: ja.replace("{}", detail),
            hint: hint.to_owned(),
            hint_ja: hint_ja.to_owned(),
            profile: None,
        }
    }
}

impl Finding {
    pub fn with_value(mut self, value: impl AsRef<str>) -> Self {
        self.value = Some(shown(value.as_ref()));
        self
    }

    pub fn of_profile(mut self, profile: Option<&str>) -> Self {
        self.profile = profile.map(str::to_owned);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let mut names: Vec<&str> = Rule::TABLE.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::TABLE.len(), "a name stands twice in Rule::TABLE");
        for rule in Rule::TABLE {
            let (_, _, en, ja, hint, hint_ja) = rule.row();
            assert_eq!(en.contains("{}"), ja.contains("{}"), "{}: one language has no detail", rule.name());
            assert!(!hint.is_empty() && hint_ja.chars().any(|c| c > '\u{3000}'), "{}", rule.name());
        }
    }
}
