//! A connection to a node: heads, state, events, and signed transactions, over the node's ordinary RPC.
//!
//! `subxt` reads the metadata, encodes transactions and splits events; the types are the chain's own. Queries go to the
//! best block unless a block is named, because a trader acts on what is, not on what was final three blocks ago.

use crate::{
    call::Call,
    event::{Event, EventRecord, Phase},
    refusal, AccountId, Error, Refusal, Result, Wallet,
};
use codec::{Decode, Encode};
use novate_types::BlockNumber;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use subxt::{
    config::{
        substrate::{BlakeTwo256, SpecVersionForRange, SubstrateHeader},
        DefaultExtrinsicParamsBuilder, Hasher, RpcConfigFor,
    },
    error::DispatchError,
    ext::frame_decode::storage::{
        encode_storage_key_prefix, IntoDecodableValues, IntoEncodableValues,
    },
    metadata::ArcMetadata,
    rpcs::{
        client::{rpc_params, RpcSubscription},
        methods::legacy::{LegacyRpcMethods, TransactionStatus},
        RpcClient,
    },
    utils::H256,
    Metadata, OfflineClient, OfflineClientAtBlock, SubstrateConfig,
};
use tokio::sync::Mutex;

/// A block's or a transaction's hash.
pub type Hash = H256;
type Header = SubstrateHeader<Hash>;
type Offline = OfflineClientAtBlock<SubstrateConfig>;

/// Blocks for which a signed transaction stays valid.
const MORTALITY: u64 = 64;
/// Storage keys asked for at once.
const PAGE: u32 = 512;
/// How long a transaction may take to be included.
const INCLUSION: Duration = Duration::from_secs(30);

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Height.
    pub number: BlockNumber,
    /// Hash.
    pub hash: Hash,
}

/// A connection to a node. Cheap to clone.
#[derive(Clone)]
pub struct Chain {
    raw: RpcClient,
    rpc: LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
    offline: Arc<Offline>,
    metadata: ArcMetadata,
    url: Arc<str>,
}

impl Chain {
    /// Connects to a node's WebSocket, `ws://127.0.0.1:9944`.
    ///
    /// # Errors
    ///
    /// `Unreachable` when nobody answers, `Mismatch` when its metadata cannot be read.
    pub async fn connect(url: &str) -> Result<Self> {
        let unreachable = |reason: String| Error::Unreachable {
            url: url.to_owned(),
            reason,
        };
        let raw = RpcClient::from_insecure_url(url)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let rpc = LegacyRpcMethods::new(raw.clone());
        let genesis = rpc
            .genesis_hash()
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let version = rpc.state_get_runtime_version(None).await?;
        let metadata = Arc::new(Self::fetch_metadata(&rpc).await?);
        let config = SubstrateConfig::builder()
            .set_genesis_hash(genesis)
            .set_metadata_for_spec_versions([(version.spec_version, metadata.clone())])
            .set_spec_version_for_block_ranges([SpecVersionForRange {
                block_range: 0..u64::MAX,
                spec_version: version.spec_version,
                transaction_version: version.transaction_version,
            }])
            .build();
        let offline = OfflineClient::new_with_config(config)
            .at_block(0u64)
            .map_err(|e| Error::mismatch("the node's runtime", e))?;
        Ok(Self {
            raw,
            rpc,
            offline: Arc::new(offline),
            metadata,
            url: url.into(),
        })
    }

    async fn fetch_metadata(
        rpc: &LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
    ) -> Result<Metadata> {
        let bytes = rpc
            .state_call("Metadata_metadata_at_version", Some(&15u32.encode()), None)
            .await?;
        let read = |e: codec::Error| Error::mismatch("the node's metadata", e);
        let opaque = Option::<Vec<u8>>::decode(&mut &bytes[..]).map_err(read)?;
        let opaque =
            opaque.ok_or_else(|| Error::mismatch("the node's metadata", "version 15 is absent"))?;
        Metadata::decode_from(&opaque).map_err(read)
    }

    /// Where it is connected to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the runtime says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The best block.
    pub async fn best(&self) -> Result<BlockId> {
        let header = self.rpc.chain_get_header(None).await?;
        header
            .map(|h| block_id(&h))
            .ok_or_else(|| Error::mismatch("the best header", "none"))
    }

    /// The last finalized block.
    pub async fn finalized(&self) -> Result<BlockId> {
        let hash = self.rpc.chain_get_finalized_head().await?;
        let header = self.rpc.chain_get_header(Some(hash)).await?;
        header
            .map(|h| block_id(&h))
            .ok_or_else(|| Error::mismatch("the finalized header", "none"))
    }

    /// The canonical block at a height, if there is one yet.
    pub async fn block_at(&self, number: BlockNumber) -> Result<Option<BlockId>> {
        let hash: Option<Hash> = self
            .raw
            .request("chain_getBlockHash", rpc_params![number])
            .await?;
        Ok(hash.map(|hash| BlockId { number, hash }))
    }

    /// Blocks as they come, each once and in order. Finalized ones are never taken back; best ones may be.
    pub async fn blocks(&self, finalized: bool) -> Result<Blocks> {
        let heads = if finalized {
            self.rpc.chain_subscribe_finalized_heads().await?
        } else {
            self.rpc.chain_subscribe_new_heads().await?
        };
        Ok(Blocks {
            chain: self.clone(),
            heads,
            due: VecDeque::new(),
            last: None,
        })
    }

    /// Calls a runtime API function, with its arguments as a tuple.
    pub async fn query<R: Decode>(
        &self,
        function: &str,
        arguments: impl Encode,
        at: Option<Hash>,
    ) -> Result<R> {
        let bytes = self
            .rpc
            .state_call(function, Some(&arguments.encode()), at)
            .await?;
        decode_all(&bytes).map_err(|e| Error::mismatch(format!("the answer of {function}"), e))
    }

    /// A storage value under its keys, a tuple, if it is set. Only its beginning needs to be an `R`.
    pub async fn value<K, R: Decode>(
        &self,
        pallet: &str,
        item: &str,
        keys: K,
        at: Option<Hash>,
    ) -> Result<Option<R>>
    where
        K: IntoEncodableValues + IntoDecodableValues,
    {
        let key = self.key(pallet, item, keys)?;
        let Some(bytes) = self.rpc.state_get_storage(&key, at).await? else {
            return Ok(None);
        };
        R::decode(&mut &bytes[..])
            .map(Some)
            .map_err(|e| unreadable(pallet, item, e))
    }

    fn key<K>(&self, pallet: &str, item: &str, keys: K) -> Result<Vec<u8>>
    where
        K: IntoEncodableValues + IntoDecodableValues,
    {
        let address = subxt::dynamic::storage::<K, subxt::dynamic::Value>(pallet, item);
        self.offline
            .storage()
            .entry(address)
            .and_then(|entry| entry.fetch_key(keys))
            .map_err(|e| unreadable(pallet, item, e))
    }

    /// A storage value under its keys as [`Call::set_storage`] takes it.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the node has no such item.
    pub fn item<K>(
        &self,
        pallet: &str,
        item: &str,
        keys: K,
        value: impl Encode,
    ) -> Result<(Vec<u8>, Vec<u8>)>
    where
        K: IntoEncodableValues + IntoDecodableValues,
    {
        Ok((self.key(pallet, item, keys)?, value.encode()))
    }

    /// A call made as root, which the holder of the sudo key signs.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the node has no such call.
    pub fn by_root(&self, call: &Call) -> Result<Call> {
        let encoded = self.offline.tx().call_data(call);
        let encoded = encoded.map_err(|e| Error::mismatch("the call", e))?;
        Ok(Call::encoded("Sudo", "sudo", encoded))
    }

    /// A pallet's constant.
    pub fn constant<R: Decode>(&self, pallet: &str, name: &str) -> Result<R> {
        let what = || format!("the constant {pallet}.{name}");
        let constant = self
            .metadata
            .pallet_by_name(pallet)
            .and_then(|p| p.constant_by_name(name))
            .ok_or_else(|| Error::mismatch(what(), "the runtime has none"))?;
        decode_all(constant.value()).map_err(|e| Error::mismatch(what(), e))
    }

    /// Every entry of a storage map whose hasher puts `hash_bytes` before the key itself. Only a value's beginning needs to
    /// be a `V`.
    pub async fn entries<K: Decode, V: Decode>(
        &self,
        pallet: &str,
        item: &str,
        hash_bytes: usize,
        at: Hash,
    ) -> Result<Vec<(K, V)>> {
        let prefix = encode_storage_key_prefix(pallet, item).to_vec();
        let unreadable =
            |e: codec::Error| Error::mismatch(format!("the storage map {pallet}.{item}"), e);
        let mut entries = Vec::new();
        let mut start: Option<Vec<u8>> = None;
        loop {
            let keys = self
                .rpc
                .state_get_keys_paged(&prefix, PAGE, start.as_deref(), Some(at))
                .await?;
            let Some(last) = keys.last() else {
                return Ok(entries);
            };
            start = Some(last.clone());
            let sets = self
                .rpc
                .state_query_storage_at(keys.iter().map(Vec::as_slice), Some(at))
                .await?;
            for (key, value) in sets.into_iter().flat_map(|s| s.changes) {
                let (Some(value), Some(key)) = (value, key.0.get(prefix.len() + hash_bytes..))
                else {
                    continue;
                };
                let key = decode_all(key).map_err(unreadable)?;
                entries.push((key, V::decode(&mut &value.0[..]).map_err(unreadable)?));
            }
        }
    }

    /// A block's events, decoded into the client's own where it knows them.
    pub async fn events(&self, at: Hash) -> Result<Vec<EventRecord>> {
        let key = encode_storage_key_prefix("System", "Events");
        let bytes = self
            .rpc
            .state_get_storage(&key, Some(at))
            .await?
            .unwrap_or_default();
        let events = self.offline.events().from_bytes(bytes);
        let mut records = Vec::with_capacity(events.len() as usize);
        for event in events.iter() {
            let event = event.map_err(|e| Error::mismatch("the block's events", e))?;
            let phase = match event.phase() {
                subxt::events::Phase::ApplyExtrinsic(index) => Phase::Extrinsic(index),
                _ => Phase::Block,
            };
            let fields = event.field_bytes();
            let decoded =
                if event.pallet_name() == "System" && event.event_name() == "ExtrinsicFailed" {
                    Event::Failed(self.explain(fields)?)
                } else {
                    Event::decode(event.pallet_name(), event.event_name(), fields).map_err(|e| {
                        Error::mismatch(
                            format!("the event {}.{}", event.pallet_name(), event.event_name()),
                            e,
                        )
                    })?
                };
            records.push(EventRecord {
                phase,
                event: decoded,
            });
        }
        Ok(records)
    }

    /// A dispatch error in words.
    fn explain(&self, bytes: &[u8]) -> Result<Refusal> {
        let error = DispatchError::decode_from(bytes, self.metadata.clone())
            .map_err(|e| Error::mismatch("a dispatch error", e))?;
        let DispatchError::Module(module) = &error else {
            return Ok(refusal::of_dispatch(&error));
        };
        Ok(match module.details() {
            Ok(details) => refusal::of_module(
                details.pallet.name(),
                &details.variant.name,
                &details.variant.docs.join(" "),
            ),
            Err(_) => Refusal::plain("module", module.to_string()),
        })
    }

    /// The next nonce of an account, its transactions in the pool counted.
    pub async fn next_nonce(&self, account: &AccountId) -> Result<u64> {
        Ok(self.rpc.system_account_next_index(account).await?)
    }

    /// Encodes and signs a call.
    async fn sign(&self, call: &Call, wallet: &Wallet, nonce: u64) -> Result<Vec<u8>> {
        let anchor = self.finalized().await?;
        let parameters = DefaultExtrinsicParamsBuilder::<SubstrateConfig>::new()
            .mortal_from_unchecked(MORTALITY, u64::from(anchor.number), anchor.hash)
            .nonce(nonce)
            .build();
        let wrong = |e: subxt::error::ExtrinsicError| Error::mismatch("the call", e);
        let mut signable = self
            .offline
            .tx()
            .create_signable_offline(call, parameters)
            .map_err(wrong)?;
        Ok(signable
            .sign(wallet.keypair())
            .map_err(wrong)?
            .into_encoded())
    }
}

/// A trader's key on a connection. Counts its own nonces, so that many transactions can be under way.
pub struct Signer {
    chain: Chain,
    wallet: Wallet,
    next_nonce: Mutex<Option<u64>>,
}

/// A transaction that is on its way.
pub struct Pending {
    chain: Chain,
    transaction: Hash,
    statuses: RpcSubscription<TransactionStatus<Hash>>,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Included {
    /// The block.
    pub block: BlockId,
    /// The transaction's place in it.
    pub index: u32,
    /// All of the block's events: what the transaction did, and what the close made of it.
    pub events: Vec<EventRecord>,
}

impl Included {
    /// Events of the transaction itself.
    pub fn own(&self) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(|r| r.phase == Phase::Extrinsic(self.index))
            .map(|r| &r.event)
    }

    /// Events of the block's close.
    pub fn close(&self) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(|r| r.phase == Phase::Block)
            .map(|r| &r.event)
    }
}

impl Signer {
    /// Signs with `wallet` on `chain`.
    pub fn new(chain: Chain, wallet: Wallet) -> Self {
        Self {
            chain,
            wallet,
            next_nonce: Mutex::new(None),
        }
    }

    /// Its address.
    pub fn account_id(&self) -> AccountId {
        self.wallet.account_id()
    }

    /// The connection.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Signs and sends a call without waiting for a block. After an error the next call asks the node for its nonce.
    pub async fn send(&self, call: &Call) -> Result<Pending> {
        let mut next = self.next_nonce.lock().await;
        let nonce = match *next {
            Some(nonce) => nonce,
            None => self.chain.next_nonce(&self.account_id()).await?,
        };
        *next = None;
        let encoded = self.chain.sign(call, &self.wallet, nonce).await?;
        let statuses = self
            .chain
            .rpc
            .author_submit_and_watch_extrinsic(&encoded)
            .await
            .map_err(refusal::of_pool)?;
        *next = Some(nonce + 1);
        Ok(Pending {
            chain: self.chain.clone(),
            transaction: BlakeTwo256.hash(&encoded),
            statuses,
        })
    }

    /// Sends a call and waits until it is in a block.
    ///
    /// # Errors
    ///
    /// `Refused` when the chain refuses the call as a whole; the operations inside it report in its events.
    pub async fn execute(&self, call: &Call) -> Result<Included> {
        let included = match self.send(call).await?.included().await {
            Ok(included) => included,
            Err(error) => {
                *self.next_nonce.lock().await = None;
                return Err(error);
            }
        };
        let failure = included.own().find_map(|e| match e {
            Event::Failed(refusal) => Some(refusal.clone()),
            _ => None,
        });
        failure.map_or(Ok(included), |refusal| Err(refusal.into()))
    }
}

impl Pending {
    /// Waits until a best block includes it.
    pub async fn included(mut self) -> Result<Included> {
        let outcome = tokio::time::timeout(INCLUSION, async {
            while let Some(status) = self.statuses.next().await {
                match status? {
                    TransactionStatus::InBlock(hash) | TransactionStatus::Finalized(hash) => {
                        return Ok(hash)
                    }
                    TransactionStatus::Invalid => {
                        return Err(Error::NotIncluded("it became invalid in the pool".into()))
                    }
                    TransactionStatus::Dropped => {
                        return Err(Error::NotIncluded("the pool is full and dropped it".into()))
                    }
                    TransactionStatus::Usurped(_) => {
                        return Err(Error::NotIncluded(
                            "another transaction with the same nonce took its place".into(),
                        ))
                    }
                    _ => {}
                }
            }
            Err(Error::NotIncluded("the node closed the connection".into()))
        })
        .await;
        let hash = outcome.unwrap_or_else(|_| {
            Err(Error::NotIncluded(format!(
                "no block took it within {} s",
                INCLUSION.as_secs()
            )))
        })?;
        let details = self.chain.rpc.chain_get_block(Some(hash)).await?;
        let block = details
            .ok_or_else(|| Error::NotIncluded("its block is no longer known".into()))?
            .block;
        let index = block
            .extrinsics
            .iter()
            .position(|bytes| BlakeTwo256.hash(&bytes.0) == self.transaction)
            .and_then(|at| u32::try_from(at).ok())
            .ok_or_else(|| {
                Error::mismatch("the including block", "the transaction is not in it")
            })?;
        let events = self.chain.events(hash).await?;
        Ok(Included {
            block: BlockId {
                number: block_number(&block.header),
                hash,
            },
            index,
            events,
        })
    }
}

/// Blocks in order, without gaps: the node announces some heads only by their descendants.
pub struct Blocks {
    chain: Chain,
    heads: RpcSubscription<Header>,
    due: VecDeque<BlockId>,
    last: Option<BlockNumber>,
}

impl Blocks {
    /// The next block; an error when the node goes away.
    pub async fn next(&mut self) -> Result<BlockId> {
        loop {
            if let Some(block) = self.due.pop_front() {
                self.last = Some(block.number);
                return Ok(block);
            }
            let header = self.heads.next().await.ok_or_else(|| Error::Unreachable {
                url: self.chain.url().to_owned(),
                reason: "the connection was closed".into(),
            })??;
            let head = block_id(&header);
            let from = self.last.map_or(head.number, |last| last + 1);
            for number in from..head.number {
                self.due.extend(self.chain.block_at(number).await?);
            }
            self.due.push_back(head);
        }
    }
}

fn block_number(header: &Header) -> BlockNumber {
    BlockNumber::try_from(header.number).unwrap_or(BlockNumber::MAX)
}

fn block_id(header: &Header) -> BlockId {
    BlockId {
        number: block_number(header),
        hash: BlakeTwo256.hash(&header.encode()),
    }
}

fn unreadable(pallet: &str, item: &str, error: impl std::fmt::Display) -> Error {
    Error::mismatch(format!("the storage item {pallet}.{item}"), error)
}

/// Decodes a value and refuses bytes left over: they mean that the types differ.
pub(crate) fn decode_all<R: Decode>(mut bytes: &[u8]) -> std::result::Result<R, codec::Error> {
    let value = R::decode(&mut bytes)?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err("bytes are left over".into())
    }
}
