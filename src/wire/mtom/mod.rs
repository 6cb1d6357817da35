//! MTOM/XOP: multipart/related split and written as a stream.
