//! TLS 1.2 and 1.3 by rustls, with ring behind it.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::{TlsError, read};
use crate::config::TlsFiles;
use crate::http::limits::CERTIFICATE_REFRESH;
use crate::sys::side;

/// The only protocol that is spoken within.
const ALPN: &[u8] = b"http/1.1";

/// Where distributions keep the certificates of the authorities that they trust: Debian, Fedora, Alpine.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Who an endpoint says it is: certificate and key, read again from time to time, so that a renewed certificate needs no
/// reload.
#[derive(Debug)]
pub(in crate::http) struct Identity {
    files: TlsFiles,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    /// `None`: the files could not be used yet.
    config: Option<Arc<ServerConfig>>,
    /// When the files were looked at last.
    read_at: Instant,
    /// The last look failed, which has been told.
    has_failed: bool,
}

/// Whether the files can be used.
///
/// # Errors
/// See [`TlsError`].
pub(in crate::http) fn check(files: &TlsFiles) -> Result<(), TlsError> {
    load(files).map(drop)
}

fn locked(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Identity {
    /// Reads the files. They could be used when the configuration was read; if that has changed since, nobody is let in
    /// until they can be used again.
    pub(in crate::http) fn of(files: &TlsFiles) -> Identity {
        let current = Arc::new(Mutex::new(Current { config: None, read_at: Instant::now(), has_failed: false }));
        renew(files, &current);
        Identity { files: files.clone(), current }
    }

    /// The handshake; as long as the client needs for it.
    pub(in crate::http) async fn accept(&self, stream: TcpStream) -> io::Result<ServedStream> {
        let config = self.config().ok_or_else(|| io::Error::other("there is no certificate"))?;
        Ok(ServedStream(Mutex::new(Box::new(TlsAcceptor::from(config).accept(stream).await?))))
    }

    /// What is known now. Every so often the files are read again.
    fn config(&self) -> Option<Arc<ServerConfig>> {
        self.config_not_older_than(CERTIFICATE_REFRESH)
    }

    /// What is known now. If the last look is older, there is another one, on a thread that may wait for the files.
    fn config_not_older_than(&self, age: Duration) -> Option<Arc<ServerConfig>> {
        let mut current = locked(&self.current);
        if current.read_at.elapsed() > age {
            current.read_at = Instant::now();
            let (files, renewed) = (self.files.clone(), Arc::clone(&self.current));
            side::run(move || renew(&files, &renewed));
        }
        current.config.clone()
    }
}

fn renew(files: &TlsFiles, current: &Mutex<Current>) {
    let loaded = load(files);
    let mut current = locked(current);
    match loaded {
        Ok(config) => (current.config, current.has_failed) = (Some(config), false),
        Err(error) => {
            let instead = match current.config {
                Some(_) => "the certificate that was read before is used on",
                None => "nobody is let in",
            };
            if !std::mem::replace(&mut current.has_failed, true) {
                tracing::error!("{error}; {instead} until it can be read");
            }
        }
    }
}

fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable =
        |reason: &dyn std::fmt::Display| TlsError::Unusable { files: files.clone(), reason: reason.to_string() };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::NoKey(files.key.clone()))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable(&error))?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = || TlsError::NoCertificate(file.to_owned());
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    found.ok().filter(|chain| !chain.is_empty()).ok_or_else(none)
}

/// A client's connection behind its handshake. Everything runs on one thread; the lock only satisfies the compiler.
#[derive(Debug)]
pub(in crate::http) struct ServedStream(Mutex<Box<server::TlsStream<TcpStream>>>);

impl ServedStream {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut server::TlsStream<TcpStream>>) -> T) -> T {
        act(Pin::new(&mut **self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(in crate::http) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.with(|stream| stream.poll_read(cx, &mut buffer)))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(in crate::http) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    pub(in crate::http) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    /// Tells the client that nothing more comes, as far as it takes what it is told.
    pub(in crate::http) fn finish(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.with(|mut stream| {
            let _ = stream.as_mut().poll_shutdown(&mut cx);
            let _ = shutdown(stream.get_ref().0.as_raw_fd(), Shutdown::Write);
        });
    }
}

/// The client's side: `host` must be who the certificate says, and an authority of the file, or of the distribution, must
/// have signed it.
///
/// # Errors
/// See [`TlsError`].
pub(in crate::http) async fn connect(
    host: &str,
    authorities: Option<&Path>,
    stream: TcpStream,
) -> Result<client::TlsStream<TcpStream>, TlsError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
    let file = if let Some(file) = authorities {
        file
    } else {
        let found = BUNDLES.iter().map(Path::new).find(|bundle| bundle.is_file());
        found.ok_or_else(|| TlsError::NoAuthorities(BUNDLES.to_vec()))?
    };
    let refused = |reason: String| TlsError::Authority { file: file.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates(file)?).0 == 0 {
        return Err(refused("none of its certificates is understood".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| refused(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(TlsError::Handshake)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn become_who(folder: &TempDir, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/files");
        for end in ["pem", "key"] {
            fs::copy(from.join(format!("{name}.{end}")), folder.path().join(format!("who.{end}"))).unwrap();
        }
    }

    /// Looks at the files, and waits until that has led to something.
    async fn look(identity: &Identity, outcome: impl Fn(&Current) -> bool) -> Arc<ServerConfig> {
        identity.config_not_older_than(Duration::ZERO);
        let seen = async {
            while !outcome(&locked(&identity.current)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("nobody looked");
        identity.config_not_older_than(LONG).unwrap()
    }

    #[test]
    fn a_renewed_certificate_is_used_without_a_reload_and_one_that_cannot_be_used_is_not() {
        let folder = tempfile::tempdir().unwrap();
        become_who(&folder, "first");
        let [certificate, key] = ["who.pem", "who.key"].map(|name| folder.path().join(name));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let identity = Identity::of(&TlsFiles { certificate, key });
            let first = identity.config_not_older_than(LONG).unwrap();
            become_who(&folder, "second");
            assert!(Arc::ptr_eq(&first, &identity.config_not_older_than(LONG).unwrap()), "nobody has looked yet");
            let is_another = |current: &Current| current.config.as_ref().is_some_and(|now| !Arc::ptr_eq(now, &first));
            let second = look(&identity, is_another).await;
            fs::write(folder.path().join("who.key"), "no key").unwrap();
            let present = look(&identity, |current| current.has_failed).await;
            assert!(Arc::ptr_eq(&second, &present), "the one before is used on");
        });
    }
}
