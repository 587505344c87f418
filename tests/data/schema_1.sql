-- A cache of format 1 as Stockyard 0.1 made it, as SQL; tests bring it to the present format.
PRAGMA application_id=1398033241;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE bars (
	series_id INTEGER NOT NULL, 
	ts INTEGER NOT NULL, 
	open REAL NOT NULL, 
	high REAL NOT NULL, 
	low REAL NOT NULL, 
	close REAL NOT NULL, 
	volume REAL NOT NULL, 
	vwap REAL, 
	transactions INTEGER, 
	flags INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (series_id, ts), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "bars" VALUES(1,1699401600,182.35,183.45,181.59,182.89,49340300.0,NULL,NULL,0);
INSERT INTO "bars" VALUES(1,1699488000,182.96,184.12,181.81,182.41,53763500.0,NULL,NULL,0);
INSERT INTO "bars" VALUES(1,1699574400,183.97,186.57,183.53,186.4,66177900.0,NULL,NULL,0);
INSERT INTO "bars" VALUES(2,1699401600,182.35,183.45,181.59,182.89,49340300.0,NULL,NULL,0);
INSERT INTO "bars" VALUES(2,1699574400,183.97,186.57,183.53,186.4,66177900.0,NULL,NULL,0);
CREATE TABLE cache_metrics (
	day TEXT NOT NULL, 
	consumer TEXT NOT NULL, 
	hits INTEGER DEFAULT '0' NOT NULL, 
	misses INTEGER DEFAULT '0' NOT NULL, 
	gap_fills INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (day, consumer)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "cache_metrics" VALUES('2023-11-14','python',1,0,0);
CREATE TABLE corporate_actions (
	symbol TEXT NOT NULL, 
	asset_class TEXT NOT NULL, 
	source TEXT NOT NULL, 
	ex_ts INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	value REAL NOT NULL, 
	fetched_at INTEGER NOT NULL, 
	PRIMARY KEY (symbol, asset_class, source, ex_ts, kind), 
	CONSTRAINT action_known CHECK (kind IN ('split', 'dividend')), 
	CONSTRAINT action_positive CHECK (value > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "corporate_actions" VALUES('AAPL','stock','alpaca:iex',1699574400,'dividend',0.24,1700000000);
CREATE TABLE coverage (
	series_id INTEGER NOT NULL, 
	start_ts INTEGER NOT NULL, 
	end_ts INTEGER NOT NULL, 
	answer TEXT NOT NULL, 
	asked_at INTEGER NOT NULL, 
	recheck_at INTEGER, 
	expires_at INTEGER, 
	PRIMARY KEY (series_id, start_ts), 
	CONSTRAINT coverage_answer_known CHECK (answer IN ('bars', 'empty')), 
	CONSTRAINT coverage_not_empty CHECK (start_ts < end_ts), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "coverage" VALUES(1,1699228800,1699315201,'empty',1700000000,1731536000,NULL);
INSERT INTO "coverage" VALUES(1,1699315201,1699574401,'bars',1700000000,NULL,NULL);
CREATE TABLE findings (
	series_id INTEGER NOT NULL, 
	ts INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	value REAL NOT NULL, 
	detail TEXT NOT NULL, 
	found_at INTEGER NOT NULL, 
	verdict TEXT DEFAULT 'open' NOT NULL, 
	decided_at INTEGER, 
	PRIMARY KEY (series_id, ts, kind), 
	CONSTRAINT verdict_known CHECK (verdict IN ('open', 'accepted', 'ignored')), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE option_quotes (
	snapshot_id INTEGER NOT NULL, 
	expiration_ts INTEGER NOT NULL, 
	strike REAL NOT NULL, 
	option_type TEXT NOT NULL, 
	contract_symbol TEXT, 
	bid REAL, 
	ask REAL, 
	last REAL, 
	volume REAL, 
	open_interest REAL, 
	implied_volatility REAL, 
	delta REAL, 
	gamma REAL, 
	theta REAL, 
	vega REAL, 
	rho REAL, 
	PRIMARY KEY (snapshot_id, expiration_ts, strike, option_type), 
	CONSTRAINT option_type_known CHECK (option_type IN ('call', 'put')), 
	FOREIGN KEY(snapshot_id) REFERENCES option_snapshots (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "option_quotes" VALUES(1,1705622400,185.0,'call',NULL,5.9,6.1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "option_quotes" VALUES(1,1705622400,190.0,'call','AAPL240119C00190000',3.1,3.2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "option_quotes" VALUES(1,1705622400,190.0,'put','AAPL240119P00190000',5.2,5.4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE option_snapshots (
	id INTEGER NOT NULL, 
	symbol TEXT NOT NULL, 
	trading_ts INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	underlying_price REAL, 
	quality REAL NOT NULL, 
	contracts INTEGER NOT NULL, 
	fetched_at INTEGER NOT NULL, 
	provider_metadata TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (symbol, trading_ts, source)
)
 STRICT

;
INSERT INTO "option_snapshots" VALUES(1,'AAPL',1699574400,'yahoo',186.4,0.55,3,1700000000,NULL);
CREATE TABLE provider_state (
	provider TEXT NOT NULL, 
	next_slot_us INTEGER DEFAULT '0' NOT NULL, 
	blocked_until INTEGER, 
	strikes INTEGER DEFAULT '0' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	day TEXT DEFAULT '' NOT NULL, 
	requests_today INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (provider)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "provider_state" VALUES('yahoo',0,1700000900,1,'Yahoo refuses.','',0);
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	series_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	stamp TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"row" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "quarantine" VALUES(1,2,1700000000,'2023-11-09','a price is zero or negative','{"open": 182.96, "high": -1.0, "low": 181.81, "close": 182.41, "volume": 53763500.0}');
CREATE TABLE run_items (
	run_id INTEGER NOT NULL, 
	item TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	detail TEXT DEFAULT '' NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (run_id, item), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "run_items" VALUES(1,'AAPL','found','Technology',1700000000);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	state TEXT NOT NULL, 
	total INTEGER DEFAULT '0' NOT NULL, 
	started_at INTEGER NOT NULL, 
	ended_at INTEGER, 
	heartbeat_at INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	message TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "runs" VALUES(1,'sectors','yahoo','{"kind": "never_asked", "days": 365, "symbols": [], "limit": null}','interrupted',2,1700000000,1700000100,1700000100,'host:1:ab','The program ended.');
CREATE TABLE sector_changes (
	id INTEGER NOT NULL, 
	symbol_id INTEGER NOT NULL, 
	changed_at INTEGER NOT NULL, 
	old_sector TEXT, 
	old_industry TEXT, 
	old_status TEXT NOT NULL, 
	new_sector TEXT, 
	new_industry TEXT, 
	new_status TEXT NOT NULL, 
	source TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(symbol_id) REFERENCES symbols (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "sector_changes" VALUES(1,1,1700000000,NULL,NULL,'never_asked','Technology','Consumer Electronics','found','yahoo_profile');
CREATE TABLE series (
	id INTEGER NOT NULL, 
	symbol TEXT NOT NULL, 
	asset_class TEXT NOT NULL, 
	interval TEXT NOT NULL, 
	source TEXT NOT NULL, 
	adjustment TEXT NOT NULL, 
	bars INTEGER DEFAULT '0' NOT NULL, 
	provisional INTEGER DEFAULT '0' NOT NULL, 
	first_ts INTEGER, 
	last_ts INTEGER, 
	fetched_at INTEGER, 
	PRIMARY KEY (id), 
	UNIQUE (symbol, asset_class, interval, source, adjustment)
)
 STRICT

;
INSERT INTO "series" VALUES(1,'AAPL','stock','1d','alpaca:iex','raw',3,0,1699401600,1699574400,1700000000);
INSERT INTO "series" VALUES(2,'BRK.B','stock','1d','yahoo','split',2,0,1699401600,1699574400,1700000000);
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('option_quotes','option_quotes','3 3 3 2 1');
INSERT INTO "sqlite_stat1" VALUES('coverage','coverage','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('option_snapshots','sqlite_autoindex_option_snapshots_1','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('series','sqlite_autoindex_series_1','2 1 1 1 1 1');
CREATE TABLE symbols (
	id INTEGER NOT NULL, 
	symbol TEXT NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	asset_class TEXT DEFAULT 'stock' NOT NULL, 
	kind TEXT DEFAULT 'common' NOT NULL, 
	exchange TEXT DEFAULT '' NOT NULL, 
	tradable INTEGER DEFAULT '1' NOT NULL, 
	sector TEXT, 
	industry TEXT, 
	sector_status TEXT DEFAULT 'never_asked' NOT NULL, 
	sector_source TEXT, 
	sector_last_updated INTEGER, 
	sector_attempts INTEGER DEFAULT '0' NOT NULL, 
	sector_error TEXT, 
	sector_locked INTEGER DEFAULT '0' NOT NULL, 
	sector_note TEXT, 
	added_at INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT sector_status_known CHECK (sector_status IN ('never_asked', 'found', 'none', 'not_found', 'failed', 'ineligible')), 
	CONSTRAINT found_has_sector CHECK ((sector_status = 'found') = (sector IS NOT NULL)), 
	UNIQUE (symbol)
)
 STRICT

;
INSERT INTO "symbols" VALUES(1,'AAPL','Apple Inc.','stock','common','NASDAQ',1,'Technology','Consumer Electronics','found','yahoo_profile',1700000000,0,NULL,0,NULL,1700000000);
INSERT INTO "symbols" VALUES(2,'BRK.B','Berkshire Hathaway','stock','common','NYSE',1,NULL,NULL,'never_asked',NULL,NULL,0,NULL,0,NULL,1700000000);
INSERT INTO "symbols" VALUES(3,'SPX','S&P 500','index','common','',1,NULL,NULL,'never_asked',NULL,NULL,0,NULL,0,NULL,1700000000);
CREATE TABLE trades (
	id INTEGER NOT NULL, 
	trade_id TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	asset_class TEXT DEFAULT 'stock' NOT NULL, 
	side TEXT NOT NULL, 
	multiplier INTEGER NOT NULL, 
	quantity INTEGER NOT NULL, 
	entry_at INTEGER NOT NULL, 
	entry_price INTEGER NOT NULL, 
	exit_at INTEGER, 
	exit_price INTEGER, 
	net_pnl INTEGER, 
	fees INTEGER DEFAULT '0' NOT NULL, 
	currency TEXT DEFAULT 'USD' NOT NULL, 
	strategy TEXT DEFAULT '' NOT NULL, 
	exit_reason TEXT DEFAULT '' NOT NULL, 
	account TEXT DEFAULT '' NOT NULL, 
	origin TEXT DEFAULT '' NOT NULL, 
	given_pnl INTEGER, 
	entry_order_id TEXT, 
	exit_order_id TEXT, 
	initial_stop_loss REAL, 
	initial_take_profit REAL, 
	final_stop_loss REAL, 
	final_take_profit REAL, 
	stop_adjustments INTEGER, 
	max_profit_pct REAL, 
	max_drawdown_pct REAL, 
	signal_strength REAL, 
	signal_confidence REAL, 
	entry_slippage_pct REAL, 
	exit_slippage_pct REAL, 
	notes TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT side_known CHECK (side IN ('long', 'short')), 
	UNIQUE (trade_id)
)
 STRICT

;
INSERT INTO "trades" VALUES(1,'T-1','AAPL','stock','long',100000000,1000000000,1699455600,18240000000,1699646400,18610000000,3700000000,0,'USD','swing','','','program',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"why": "breakout", "signal_strength": "BULLISH", "created_at": "2023-11-10T20:00:05+00:00"}');
INSERT INTO "trades" VALUES(2,'T-2','BRK.B','stock','long',100000000,200000000,1699542000,35050000000,NULL,NULL,NULL,0,'USD','','','','program',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0.75,NULL,NULL,NULL,NULL);
CREATE TABLE undo_rows (
	batch_id INTEGER NOT NULL, 
	ts INTEGER NOT NULL, 
	open REAL, 
	high REAL, 
	low REAL, 
	close REAL, 
	volume REAL, 
	vwap REAL, 
	transactions INTEGER, 
	flags INTEGER, 
	PRIMARY KEY (batch_id, ts), 
	FOREIGN KEY(batch_id) REFERENCES write_batches (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE write_batches (
	id INTEGER NOT NULL, 
	series_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	label TEXT NOT NULL, 
	first_ts INTEGER NOT NULL, 
	last_ts INTEGER NOT NULL, 
	written INTEGER NOT NULL, 
	all_new INTEGER NOT NULL, 
	fetched_before INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "write_batches" VALUES(1,1,1700000000,'AAPL 1d from alpaca:iex: 3 bars',1699401600,1699574400,3,1,NULL);
INSERT INTO "write_batches" VALUES(2,2,1700000000,'BRK.B 1d from yahoo: 2 bars',1699401600,1699574400,2,1,NULL);
CREATE INDEX symbols_by_sector_status ON symbols (sector_status);
CREATE INDEX trades_by_symbol ON trades (symbol, entry_at);
CREATE INDEX trades_by_entry ON trades (entry_at);
CREATE INDEX runs_by_start ON runs (kind, started_at);
CREATE INDEX sector_changes_by_symbol ON sector_changes (symbol_id, changed_at);
CREATE INDEX quarantine_by_series ON quarantine (series_id);
CREATE INDEX write_batches_by_series ON write_batches (series_id);
CREATE INDEX run_items_by_outcome ON run_items (run_id, outcome);
COMMIT;
