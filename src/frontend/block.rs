//! http{}, stream{} or mail{} as nginx keeps it: what each module has for all of the block, and for
//! each server in it.

use core::ffi::{c_void, CStr};
use core::marker::PhantomData;

use nginx_sys::{ngx_array_t, ngx_cycle_t, ngx_module_t, ngx_str_t};
use ssl_session_cache_core::report;

use crate::attach::Server;
use crate::conf::ServerConf;
use crate::frontend::tls::Fields;
use crate::nginx::module;

/// What the cache has to know of http{}, stream{} or mail{}.
///
/// # Safety
///
/// What nginx keeps for the modules of these names must be of these types; [`servers`](Self::servers) must
/// be an array of pointers to servers, and [`context`](Self::context) the one of that server.
pub(crate) unsafe trait Frontend: Sized {
    const NAME: report::Frontend;

    const MODULES: Names;

    /// The directive that sets the time for a handshake.
    const TIMEOUT_DIRECTIVE: &'static str;

    /// Whether nginx closes a connection only once the client has done so as well.
    const WAITS_FOR_CLOSE: bool;

    /// Whether nginx looks at the name that a client asks for (RFC 6066, section 3).
    const KNOWS_NAMES: bool;

    /// What the core module keeps of all of the block.
    type Main: 'static;

    /// What it keeps of a server.
    type Server: 'static;

    /// What the TLS module keeps of a server.
    type Ssl: 'static;

    /// The servers.
    fn servers(main: &Self::Main) -> &ngx_array_t;

    /// What all modules keep of a server.
    fn context(server: &Self::Server) -> *const c_void;

    fn tls(conf: &Self::Ssl) -> Fields;

    /// What a server is.
    fn server(
        cycle: &ngx_cycle_t,
        block: &Block<'_, Self>,
        server: &'static Self::Server,
    ) -> Server;

    /// The sockets with TLS.
    fn sockets(block: &Block<'_, Self>) -> Vec<Socket<Self::Server>>;
}

/// A socket with TLS.
pub(crate) struct Socket<S: 'static> {
    /// The address as it is configured.
    pub(crate) address: String,
    /// The server of clients that mean no other by a name.
    pub(crate) default: &'static S,
    /// All of its servers.
    pub(crate) servers: Vec<&'static S>,
}

/// The names of the modules that have to do with a block.
pub(crate) struct Names {
    /// The one of the block itself.
    pub(crate) block: &'static CStr,
    pub(crate) core: &'static CStr,
    pub(crate) ssl: &'static CStr,
    /// Ours.
    pub(crate) own: &'static CStr,
}

/// What modules keep for a block, or for a server in it, each at its own place.
///
/// So ngx_http_conf_ctx_t (ngx_http_config.h), ngx_stream_conf_ctx_t (ngx_stream.h) and
/// ngx_mail_conf_ctx_t (ngx_mail.h) begin.
#[repr(C)]
pub(crate) struct Context {
    main: *const *const c_void,
    server: *const *const c_void,
}

/// A block of a configuration that is not in use yet: nginx throws away then what lists it has of servers
/// and sockets. The servers stay.
pub(crate) struct Block<'a, F> {
    context: &'a Context,
    pub(super) core: &'static ngx_module_t,
    ssl: &'static ngx_module_t,
    own: &'static ngx_module_t,
    of: PhantomData<F>,
}

impl<'a, F: Frontend> Block<'a, F> {
    /// That of a configuration, from when all of it has been parsed; `None` where it has none, or nginx has
    /// no TLS for it.
    pub(super) fn of(cycle: &'a ngx_cycle_t) -> Option<Self> {
        let block = module(cycle, F::MODULES.block)?;
        // SAFETY: nginx has a place for each of these modules, in which that of a block keeps its
        // context: null where the configuration has no such block.
        let context = unsafe { (*cycle.conf_ctx.add(block.index)).cast::<Context>().as_ref()? };
        let [core, ssl, own] = [F::MODULES.core, F::MODULES.ssl, F::MODULES.own];
        Some(Self {
            context,
            core: module(cycle, core)?,
            ssl: module(cycle, ssl)?,
            own: module(cycle, own)?,
            of: PhantomData,
        })
    }

    /// What nginx keeps for all of it.
    pub(super) fn main(&self) -> &'a F::Main {
        // SAFETY: as a frontend promises.
        unsafe { &*(*self.context.main.add(self.core.ctx_index)).cast() }
    }

    /// Its servers, in the order of the configuration.
    pub(super) fn servers(&self) -> impl Iterator<Item = &'static F::Server> + use<'a, F> {
        // SAFETY: as a frontend promises.
        unsafe { servers(F::servers(self.main())) }
    }

    /// A socket over TCP that has one server, of this context.
    ///
    /// # Safety
    ///
    /// The context must be that of a server.
    pub(super) unsafe fn socket_of_one(
        &self,
        address: &ngx_str_t,
        context: *const c_void,
    ) -> Socket<F::Server> {
        // SAFETY: as the caller and the frontend promise.
        let server: &F::Server = unsafe { &*self.of_server(context, self.core).cast() };
        Socket { address: address.to_string(), default: server, servers: vec![server] }
    }

    /// What is said of TLS for all servers.
    pub(super) fn outer_tls(&self) -> Fields {
        // SAFETY: the context of a block begins as that of a server does; as a frontend promises.
        F::tls(unsafe { &*self.of_server((&raw const *self.context).cast(), self.ssl).cast() })
    }

    /// What is said of TLS for a server.
    pub(super) fn tls(&self, server: &F::Server) -> Fields {
        F::tls(self.ssl(server))
    }

    /// What nginx keeps of TLS for a server.
    pub(super) fn ssl(&self, server: &F::Server) -> &'static F::Ssl {
        // SAFETY: a server has its context; as a frontend promises.
        unsafe { &*self.of_server(F::context(server), self.ssl).cast() }
    }

    /// What our directives say of a server.
    pub(super) fn conf(&self, server: &F::Server) -> &'static ServerConf {
        // SAFETY: a server has its context, and what our module keeps there is of this type.
        unsafe { &*self.of_server(F::context(server), self.own).cast() }
    }

    /// What a module keeps for a server.
    ///
    /// # Safety
    ///
    /// The context must be that of a server, or of a block.
    unsafe fn of_server(&self, context: *const c_void, module: &ngx_module_t) -> *const c_void {
        // SAFETY: as the caller promises; nginx gives each module its place while it reads the block.
        unsafe { *(*context.cast::<Context>()).server.add(module.ctx_index) }
    }
}

/// The servers of an array of nginx's.
///
/// # Safety
///
/// The array must hold pointers to servers.
pub(super) unsafe fn servers<S: 'static>(
    array: &ngx_array_t,
) -> impl Iterator<Item = &'static S> + '_ {
    // SAFETY: as the caller promises.
    unsafe { array.as_slice::<*const S>() }
        .iter()
        // SAFETY: as above.
        .map(|server| unsafe { &**server })
}
