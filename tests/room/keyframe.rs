//! A keyframe stays within 64 KiB.
