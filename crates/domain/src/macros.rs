//! The two macros by which a slice declares its facts and its requests, so that codes, names
//! and conversions cannot disagree.

/// Declares the fact enum of one slice: variant, struct, number and name of every fact.
/// The type code is `kind << 8 | number`; a number is never used twice.
macro_rules! facts {
    (
        $(#[$doc:meta])*
        $slice:ident in $wrapper:ident, $kind:ident {
            $($(#[$vdoc:meta])* $variant:ident($fact:ident) = $number:literal, $name:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $slice {
            $($(#[$vdoc])* $variant($fact),)*
        }

        impl $slice {
            /// Type code and name of every fact of this slice.
            pub const TYPES: &'static [(u32, &'static str)] =
                &[$(($fact::TYPE, $fact::NAME)),*];

            /// The type code: stream kind << 8 | number.
            pub const fn type_code(&self) -> u32 {
                match self { $(Self::$variant(_) => $fact::TYPE,)* }
            }

            /// The name shown to people and programs, `slice.fact`.
            pub const fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $fact::NAME,)* }
            }
        }

        $(
            impl $fact {
                /// The type code in the record header; never reused.
                pub const TYPE: u32 =
                    ($crate::fact::StreamKind::$kind.code() as u32) << 8 | $number;
                /// The name shown to people and programs.
                pub const NAME: &'static str = $name;
            }

            impl From<$fact> for $slice {
                fn from(fact: $fact) -> Self {
                    Self::$variant(fact)
                }
            }

            impl From<$fact> for $crate::fact::Fact {
                fn from(fact: $fact) -> Self {
                    $crate::fact::Fact::$wrapper($slice::$variant(fact))
                }
            }
        )*

        impl From<$slice> for $crate::fact::Fact {
            fn from(fact: $slice) -> Self {
                $crate::fact::Fact::$wrapper(fact)
            }
        }
    };
}

/// Declares the request enum of one slice: variant, struct and name of every request.
macro_rules! requests {
    (
        $(#[$doc:meta])*
        $slice:ident in $wrapper:ident {
            $($(#[$vdoc:meta])* $variant:ident($request:ident), $name:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $slice {
            $($(#[$vdoc])* $variant($request),)*
        }

        impl $slice {
            /// Names of every request of this slice, as in the command's `oneof`.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The name of the request, as in the command's `oneof`.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }
        }

        $(
            impl From<$request> for $slice {
                fn from(request: $request) -> Self {
                    Self::$variant(request)
                }
            }

            impl From<$request> for $crate::request::Request {
                fn from(request: $request) -> Self {
                    $crate::request::Request::$wrapper($slice::$variant(request))
                }
            }
        )*
    };
}

pub(crate) use {facts, requests};
