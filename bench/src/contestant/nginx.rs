//! nginx with its stream module, which Debian ships as a loadable module.

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

pub(super) fn start(site: &Site<'_>) -> Result<Relay> {
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
        daemon off;
        pid {};
        events {{ worker_connections 10000; }}
        stream {{
            server {{
                listen {};
                proxy_pass {};
                proxy_timeout 1h;
            }}
        }}
        ",
        site.file("nginx.pid").display(),
        site.clients,
        site.server
    );
    let configuration = site.write("nginx.conf", &text)?;
    let mut command = site.peer("nginx")?;
    command.args(["-e", "stderr", "-c"]).arg(configuration);
    Relay::single(&command, site.file("nginx.log"), site.clients.port())
}
