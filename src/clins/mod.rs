//! What the national service 電子カルテ情報共有サービス takes (JP-CLINS): pure; bytes in, bytes or findings out.

pub mod make;
