-- The same in PostgreSQL's words.
CREATE TABLE cache_metrics (
	day TEXT COLLATE "C" NOT NULL, 
	consumer TEXT COLLATE "C" NOT NULL, 
	hits BIGINT DEFAULT '0' NOT NULL, 
	misses BIGINT DEFAULT '0' NOT NULL, 
	gap_fills BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (day, consumer)
);
CREATE TABLE corporate_actions (
	symbol TEXT COLLATE "C" NOT NULL, 
	asset_class TEXT COLLATE "C" NOT NULL, 
	source TEXT COLLATE "C" NOT NULL, 
	ex_ts BIGINT NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	value DOUBLE PRECISION NOT NULL, 
	fetched_at BIGINT NOT NULL, 
	PRIMARY KEY (symbol, asset_class, source, ex_ts, kind), 
	CONSTRAINT action_known CHECK (kind IN ('split', 'dividend')), 
	CONSTRAINT action_positive CHECK (value > 0)
);
CREATE TABLE option_snapshots (
	id SERIAL NOT NULL, 
	symbol TEXT COLLATE "C" NOT NULL, 
	trading_ts BIGINT NOT NULL, 
	source TEXT COLLATE "C" NOT NULL, 
	underlying_price DOUBLE PRECISION, 
	quality DOUBLE PRECISION NOT NULL, 
	contracts BIGINT NOT NULL, 
	fetched_at BIGINT NOT NULL, 
	provider_metadata TEXT COLLATE "C", 
	PRIMARY KEY (id), 
	UNIQUE (symbol, trading_ts, source)
);
CREATE TABLE provider_state (
	provider TEXT COLLATE "C" NOT NULL, 
	next_slot_us BIGINT DEFAULT '0' NOT NULL, 
	blocked_until BIGINT, 
	strikes INTEGER DEFAULT '0' NOT NULL, 
	reason TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	day TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	requests_today BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (provider)
);
CREATE TABLE runs (
	id SERIAL NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	provider TEXT COLLATE "C" NOT NULL, 
	scope TEXT COLLATE "C" NOT NULL, 
	state TEXT COLLATE "C" NOT NULL, 
	total BIGINT DEFAULT '0' NOT NULL, 
	started_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	heartbeat_at BIGINT NOT NULL, 
	owner TEXT COLLATE "C" NOT NULL, 
	message TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX runs_by_start ON runs (kind, started_at);
CREATE TABLE series (
	id SERIAL NOT NULL, 
	symbol TEXT COLLATE "C" NOT NULL, 
	asset_class TEXT COLLATE "C" NOT NULL, 
	interval TEXT COLLATE "C" NOT NULL, 
	source TEXT COLLATE "C" NOT NULL, 
	adjustment TEXT COLLATE "C" NOT NULL, 
	bars BIGINT DEFAULT '0' NOT NULL, 
	provisional BIGINT DEFAULT '0' NOT NULL, 
	first_ts BIGINT, 
	last_ts BIGINT, 
	fetched_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (symbol, asset_class, interval, source, adjustment)
);
CREATE TABLE symbols (
	id SERIAL NOT NULL, 
	symbol TEXT COLLATE "C" NOT NULL, 
	name TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	asset_class TEXT COLLATE "C" DEFAULT 'stock' NOT NULL, 
	kind TEXT COLLATE "C" DEFAULT 'common' NOT NULL, 
	exchange TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	tradable INTEGER DEFAULT '1' NOT NULL, 
	sector TEXT COLLATE "C", 
	industry TEXT COLLATE "C", 
	sector_status TEXT COLLATE "C" DEFAULT 'never_asked' NOT NULL, 
	sector_source TEXT COLLATE "C", 
	sector_last_updated BIGINT, 
	sector_attempts INTEGER DEFAULT '0' NOT NULL, 
	sector_error TEXT COLLATE "C", 
	sector_locked INTEGER DEFAULT '0' NOT NULL, 
	sector_note TEXT COLLATE "C", 
	added_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT sector_status_known CHECK (sector_status IN ('never_asked', 'found', 'none', 'not_found', 'failed', 'ineligible')), 
	CONSTRAINT found_has_sector CHECK ((sector_status = 'found') = (sector IS NOT NULL)), 
	UNIQUE (symbol)
);
CREATE INDEX symbols_by_sector_status ON symbols (sector_status);
CREATE TABLE trades (
	id SERIAL NOT NULL, 
	trade_id TEXT COLLATE "C" NOT NULL, 
	symbol TEXT COLLATE "C" NOT NULL, 
	asset_class TEXT COLLATE "C" DEFAULT 'stock' NOT NULL, 
	side TEXT COLLATE "C" NOT NULL, 
	multiplier NUMERIC(28, 8) NOT NULL, 
	quantity NUMERIC(28, 8) NOT NULL, 
	entry_at BIGINT NOT NULL, 
	entry_price NUMERIC(28, 8) NOT NULL, 
	exit_at BIGINT, 
	exit_price NUMERIC(28, 8), 
	net_pnl NUMERIC(28, 8), 
	fees NUMERIC(28, 8) DEFAULT '0' NOT NULL, 
	currency TEXT COLLATE "C" DEFAULT 'USD' NOT NULL, 
	strategy TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	exit_reason TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	account TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	origin TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	given_pnl NUMERIC(28, 8), 
	entry_order_id TEXT COLLATE "C", 
	exit_order_id TEXT COLLATE "C", 
	initial_stop_loss DOUBLE PRECISION, 
	initial_take_profit DOUBLE PRECISION, 
	final_stop_loss DOUBLE PRECISION, 
	final_take_profit DOUBLE PRECISION, 
	stop_adjustments INTEGER, 
	max_profit_pct DOUBLE PRECISION, 
	max_drawdown_pct DOUBLE PRECISION, 
	signal_strength DOUBLE PRECISION, 
	signal_confidence DOUBLE PRECISION, 
	entry_slippage_pct DOUBLE PRECISION, 
	exit_slippage_pct DOUBLE PRECISION, 
	notes TEXT COLLATE "C", 
	PRIMARY KEY (id), 
	CONSTRAINT side_known CHECK (side IN ('long', 'short')), 
	UNIQUE (trade_id)
);
CREATE INDEX trades_by_entry ON trades (entry_at);
CREATE INDEX trades_by_symbol ON trades (symbol, entry_at);
CREATE TABLE bars (
	series_id INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	open DOUBLE PRECISION NOT NULL, 
	high DOUBLE PRECISION NOT NULL, 
	low DOUBLE PRECISION NOT NULL, 
	close DOUBLE PRECISION NOT NULL, 
	volume DOUBLE PRECISION NOT NULL, 
	vwap DOUBLE PRECISION, 
	transactions BIGINT, 
	flags INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (series_id, ts), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
);
CREATE TABLE coverage (
	series_id INTEGER NOT NULL, 
	start_ts BIGINT NOT NULL, 
	end_ts BIGINT NOT NULL, 
	answer TEXT COLLATE "C" NOT NULL, 
	asked_at BIGINT NOT NULL, 
	recheck_at BIGINT, 
	expires_at BIGINT, 
	PRIMARY KEY (series_id, start_ts), 
	CONSTRAINT coverage_answer_known CHECK (answer IN ('bars', 'empty')), 
	CONSTRAINT coverage_not_empty CHECK (start_ts < end_ts), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
);
CREATE TABLE findings (
	series_id INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	value DOUBLE PRECISION NOT NULL, 
	detail TEXT COLLATE "C" NOT NULL, 
	found_at BIGINT NOT NULL, 
	verdict TEXT COLLATE "C" DEFAULT 'open' NOT NULL, 
	decided_at BIGINT, 
	PRIMARY KEY (series_id, ts, kind), 
	CONSTRAINT verdict_known CHECK (verdict IN ('open', 'accepted', 'ignored')), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
);
CREATE TABLE option_quotes (
	snapshot_id INTEGER NOT NULL, 
	expiration_ts BIGINT NOT NULL, 
	strike DOUBLE PRECISION NOT NULL, 
	option_type TEXT COLLATE "C" NOT NULL, 
	contract_symbol TEXT COLLATE "C", 
	bid DOUBLE PRECISION, 
	ask DOUBLE PRECISION, 
	last DOUBLE PRECISION, 
	volume DOUBLE PRECISION, 
	open_interest DOUBLE PRECISION, 
	implied_volatility DOUBLE PRECISION, 
	delta DOUBLE PRECISION, 
	gamma DOUBLE PRECISION, 
	theta DOUBLE PRECISION, 
	vega DOUBLE PRECISION, 
	rho DOUBLE PRECISION, 
	PRIMARY KEY (snapshot_id, expiration_ts, strike, option_type), 
	CONSTRAINT option_type_known CHECK (option_type IN ('call', 'put')), 
	FOREIGN KEY(snapshot_id) REFERENCES option_snapshots (id) ON DELETE CASCADE
);
CREATE TABLE quarantine (
	id SERIAL NOT NULL, 
	series_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	stamp TEXT COLLATE "C" NOT NULL, 
	reason TEXT COLLATE "C" NOT NULL, 
	row TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
);
CREATE INDEX quarantine_by_series ON quarantine (series_id);
CREATE TABLE run_items (
	run_id INTEGER NOT NULL, 
	item TEXT COLLATE "C" NOT NULL, 
	outcome TEXT COLLATE "C" NOT NULL, 
	detail TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (run_id, item), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX run_items_by_outcome ON run_items (run_id, outcome);
CREATE TABLE sector_changes (
	id SERIAL NOT NULL, 
	symbol_id INTEGER NOT NULL, 
	changed_at BIGINT NOT NULL, 
	old_sector TEXT COLLATE "C", 
	old_industry TEXT COLLATE "C", 
	old_status TEXT COLLATE "C" NOT NULL, 
	new_sector TEXT COLLATE "C", 
	new_industry TEXT COLLATE "C", 
	new_status TEXT COLLATE "C" NOT NULL, 
	source TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(symbol_id) REFERENCES symbols (id) ON DELETE CASCADE
);
CREATE INDEX sector_changes_by_symbol ON sector_changes (symbol_id, changed_at);
CREATE TABLE write_batches (
	id SERIAL NOT NULL, 
	series_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	label TEXT COLLATE "C" NOT NULL, 
	first_ts BIGINT NOT NULL, 
	last_ts BIGINT NOT NULL, 
	written BIGINT NOT NULL, 
	all_new INTEGER NOT NULL, 
	fetched_before BIGINT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
);
CREATE INDEX write_batches_by_series ON write_batches (series_id);
CREATE TABLE undo_rows (
	batch_id INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	open DOUBLE PRECISION, 
	high DOUBLE PRECISION, 
	low DOUBLE PRECISION, 
	close DOUBLE PRECISION, 
	volume DOUBLE PRECISION, 
	vwap DOUBLE PRECISION, 
	transactions BIGINT, 
	flags INTEGER, 
	PRIMARY KEY (batch_id, ts), 
	FOREIGN KEY(batch_id) REFERENCES write_batches (id) ON DELETE CASCADE
);
INSERT INTO cache_metrics ("day", "consumer", "hits", "misses", "gap_fills") VALUES ('2023-11-14', 'python', 1, 0, 0);
INSERT INTO corporate_actions ("symbol", "asset_class", "source", "ex_ts", "kind", "value", "fetched_at") VALUES ('AAPL', 'stock', 'alpaca:iex', 1699574400, 'dividend', 0.24, 1700000000);
INSERT INTO option_snapshots ("id", "symbol", "trading_ts", "source", "underlying_price", "quality", "contracts", "fetched_at", "provider_metadata") VALUES (1, 'AAPL', 1699574400, 'yahoo', 186.4, 0.55, 3, 1700000000, NULL);
INSERT INTO provider_state ("provider", "next_slot_us", "blocked_until", "strikes", "reason", "day", "requests_today") VALUES ('yahoo', 0, 1700000900, 1, 'Yahoo refuses.', '', 0);
INSERT INTO runs ("id", "kind", "provider", "scope", "state", "total", "started_at", "ended_at", "heartbeat_at", "owner", "message") VALUES (1, 'sectors', 'yahoo', '{"kind": "never_asked", "days": 365, "symbols": [], "limit": null}', 'interrupted', 2, 1700000000, 1700000100, 1700000100, 'host:1:ab', 'The program ended.');
INSERT INTO series ("id", "symbol", "asset_class", "interval", "source", "adjustment", "bars", "provisional", "first_ts", "last_ts", "fetched_at") VALUES (1, 'AAPL', 'stock', '1d', 'alpaca:iex', 'raw', 3, 0, 1699401600, 1699574400, 1700000000);
INSERT INTO series ("id", "symbol", "asset_class", "interval", "source", "adjustment", "bars", "provisional", "first_ts", "last_ts", "fetched_at") VALUES (2, 'BRK.B', 'stock', '1d', 'yahoo', 'split', 2, 0, 1699401600, 1699574400, 1700000000);
INSERT INTO symbols ("id", "symbol", "name", "asset_class", "kind", "exchange", "tradable", "sector", "industry", "sector_status", "sector_source", "sector_last_updated", "sector_attempts", "sector_error", "sector_locked", "sector_note", "added_at") VALUES (1, 'AAPL', 'Apple Inc.', 'stock', 'common', 'NASDAQ', 1, 'Technology', 'Consumer Electronics', 'found', 'yahoo_profile', 1700000000, 0, NULL, 0, NULL, 1700000000);
INSERT INTO symbols ("id", "symbol", "name", "asset_class", "kind", "exchange", "tradable", "sector", "industry", "sector_status", "sector_source", "sector_last_updated", "sector_attempts", "sector_error", "sector_locked", "sector_note", "added_at") VALUES (2, 'BRK.B', 'Berkshire Hathaway', 'stock', 'common', 'NYSE', 1, NULL, NULL, 'never_asked', NULL, NULL, 0, NULL, 0, NULL, 1700000000);
INSERT INTO symbols ("id", "symbol", "name", "asset_class", "kind", "exchange", "tradable", "sector", "industry", "sector_status", "sector_source", "sector_last_updated", "sector_attempts", "sector_error", "sector_locked", "sector_note", "added_at") VALUES (3, 'SPX', 'S&P 500', 'index', 'common', '', 1, NULL, NULL, 'never_asked', NULL, NULL, 0, NULL, 0, NULL, 1700000000);
INSERT INTO trades ("id", "trade_id", "symbol", "asset_class", "side", "multiplier", "quantity", "entry_at", "entry_price", "exit_at", "exit_price", "net_pnl", "fees", "currency", "strategy", "exit_reason", "account", "origin", "given_pnl", "entry_order_id", "exit_order_id", "initial_stop_loss", "initial_take_profit", "final_stop_loss", "final_take_profit", "stop_adjustments", "max_profit_pct", "max_drawdown_pct", "signal_strength", "signal_confidence", "entry_slippage_pct", "exit_slippage_pct", "notes") VALUES (1, 'T-1', 'AAPL', 'stock', 'long', 1, 10, 1699455600, 182.4, 1699646400, 186.1, 37, 0, 'USD', 'swing', '', '', 'program', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, '{"why": "breakout", "signal_strength": "BULLISH", "created_at": "2023-11-10T20:00:05+00:00"}');
INSERT INTO trades ("id", "trade_id", "symbol", "asset_class", "side", "multiplier", "quantity", "entry_at", "entry_price", "exit_at", "exit_price", "net_pnl", "fees", "currency", "strategy", "exit_reason", "account", "origin", "given_pnl", "entry_order_id", "exit_order_id", "initial_stop_loss", "initial_take_profit", "final_stop_loss", "final_take_profit", "stop_adjustments", "max_profit_pct", "max_drawdown_pct", "signal_strength", "signal_confidence", "entry_slippage_pct", "exit_slippage_pct", "notes") VALUES (2, 'T-2', 'BRK.B', 'stock', 'long', 1, 2, 1699542000, 350.5, NULL, NULL, NULL, 0, 'USD', '', '', '', 'program', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0.75, NULL, NULL, NULL, NULL);
INSERT INTO bars ("series_id", "ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags") VALUES (1, 1699401600, 182.35, 183.45, 181.59, 182.89, 49340300.0, NULL, NULL, 0);
INSERT INTO bars ("series_id", "ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags") VALUES (1, 1699488000, 182.96, 184.12, 181.81, 182.41, 53763500.0, NULL, NULL, 0);
INSERT INTO bars ("series_id", "ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags") VALUES (1, 1699574400, 183.97, 186.57, 183.53, 186.4, 66177900.0, NULL, NULL, 0);
INSERT INTO bars ("series_id", "ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags") VALUES (2, 1699401600, 182.35, 183.45, 181.59, 182.89, 49340300.0, NULL, NULL, 0);
INSERT INTO bars ("series_id", "ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags") VALUES (2, 1699574400, 183.97, 186.57, 183.53, 186.4, 66177900.0, NULL, NULL, 0);
INSERT INTO coverage ("series_id", "start_ts", "end_ts", "answer", "asked_at", "recheck_at", "expires_at") VALUES (1, 1699228800, 1699315201, 'empty', 1700000000, 1731536000, NULL);
INSERT INTO coverage ("series_id", "start_ts", "end_ts", "answer", "asked_at", "recheck_at", "expires_at") VALUES (1, 1699315201, 1699574401, 'bars', 1700000000, NULL, NULL);
INSERT INTO option_quotes ("snapshot_id", "expiration_ts", "strike", "option_type", "contract_symbol", "bid", "ask", "last", "volume", "open_interest", "implied_volatility", "delta", "gamma", "theta", "vega", "rho") VALUES (1, 1705622400, 185.0, 'call', NULL, 5.9, 6.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO option_quotes ("snapshot_id", "expiration_ts", "strike", "option_type", "contract_symbol", "bid", "ask", "last", "volume", "open_interest", "implied_volatility", "delta", "gamma", "theta", "vega", "rho") VALUES (1, 1705622400, 190.0, 'call', 'AAPL240119C00190000', 3.1, 3.2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO option_quotes ("snapshot_id", "expiration_ts", "strike", "option_type", "contract_symbol", "bid", "ask", "last", "volume", "open_interest", "implied_volatility", "delta", "gamma", "theta", "vega", "rho") VALUES (1, 1705622400, 190.0, 'put', 'AAPL240119P00190000', 5.2, 5.4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO quarantine ("id", "series_id", "at", "stamp", "reason", "row") VALUES (1, 2, 1700000000, '2023-11-09', 'a price is zero or negative', '{"open": 182.96, "high": -1.0, "low": 181.81, "close": 182.41, "volume": 53763500.0}');
INSERT INTO run_items ("run_id", "item", "outcome", "detail", "at") VALUES (1, 'AAPL', 'found', 'Technology', 1700000000);
INSERT INTO sector_changes ("id", "symbol_id", "changed_at", "old_sector", "old_industry", "old_status", "new_sector", "new_industry", "new_status", "source") VALUES (1, 1, 1700000000, NULL, NULL, 'never_asked', 'Technology', 'Consumer Electronics', 'found', 'yahoo_profile');
INSERT INTO write_batches ("id", "series_id", "at", "label", "first_ts", "last_ts", "written", "all_new", "fetched_before") VALUES (1, 1, 1700000000, 'AAPL 1d from alpaca:iex: 3 bars', 1699401600, 1699574400, 3, 1, NULL);
INSERT INTO write_batches ("id", "series_id", "at", "label", "first_ts", "last_ts", "written", "all_new", "fetched_before") VALUES (2, 2, 1700000000, 'BRK.B 1d from yahoo: 2 bars', 1699401600, 1699574400, 2, 1, NULL);
