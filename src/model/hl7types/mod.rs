//! The HL7 v2 data types that appear inside XDS metadata (ITI TF-3 Table 4.2.3.1.7-2): one parser and one printer each.
