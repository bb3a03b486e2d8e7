//! Who may use a route or a link: networks, keys, and peers that do not authenticate.

mod key_files;
mod networks;
mod unauthenticated_links;
