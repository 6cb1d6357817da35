//! XML at the door: the streaming guard, and the escaping writer.
