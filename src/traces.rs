//! Traces over OTLP: reconciles, git and API calls as spans, where a collector is named as
//! OpenTelemetry's own variables have it.
//!
//! The exporter runs on a thread of its own, without a runtime, so its calls are handed to ours.

use std::time::Duration;

use apinizer_gitops::cli::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Handle, Runtime};
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// How long one export may take; at the end of the program too.
const DEADLINE: Duration = Duration::from_secs(5);

/// The spans that have to be sent before the end.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends what waits.
    pub(crate) fn end(self) {
        if let Some(provider) = self.0 {
            // A collector that is down is no failure of the program.
            drop(provider.shutdown_with_timeout(DEADLINE));
        }
    }
}

/// A layer that makes spans of ours into traces; none where no collector is named.
pub(crate) fn start<S>(
    context: &Context,
    runtime: &Runtime,
) -> (Option<Box<dyn Layer<S> + Send + Sync>>, Traces)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider = match endpoint(context).map(|url| provider(&url, runtime)).transpose() {
        Ok(Some(provider)) => provider,
        Ok(None) => return (None, Traces(None)),
        Err(problem) => {
            context.say(&format!("no traces are sent: {problem}"));
            return (None, Traces(None));
        }
    };
    let tracer = provider.tracer("apinizer-gitops");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_filter(EnvFilter::new("apinizer_gitops=debug"));
    (Some(layer.boxed()), Traces(Some(provider)))
}

fn endpoint(context: &Context) -> Option<String> {
    let named = |name| context.environment.plain(name).filter(|text| !text.is_empty());
    match named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(url) => Some(url.to_owned()),
        None => {
            let base = named("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}/v1/traces", base.trim_end_matches('/')))
        }
    }
}

fn provider(url: &str, runtime: &Runtime) -> Result<SdkTracerProvider, String> {
    let http = reqwest::Client::builder()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let client = ExportClient { http, runtime: runtime.handle().clone() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(url)
        .with_timeout(DEADLINE)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name("apinizer-gitops").build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// The client that everything else uses, on the runtime of the program.
#[derive(Debug)]
struct ExportClient {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for ExportClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), request.try_into()?);
        // Even making the call needs the runtime, for its deadline.
        let answer = self.runtime.spawn(async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = answer.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
