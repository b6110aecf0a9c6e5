//! Nothing but a build script, which looks whether there is an nginx to build the module for.
