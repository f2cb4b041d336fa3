"""What the account's answers say, in Binance's field names."""

from decimal import Decimal

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.brackets import largest_notional, maintenance_margin
from freqai_lstm.replay.account.ledger import Income
from freqai_lstm.replay.account.orders import Fill, Order, StopOrder
from freqai_lstm.replay.account.positions import Position
from freqai_lstm.replay.binance.dialect import Json

_ZERO = Decimal(0)


def asset(account: Account, name: str) -> Json:
    """Describe the balance of a quote coin, and what depends on it."""
    held = [place for place in account.positions.values() if place.listing.quote == name]
    margins = {place.listing.symbol: _margins(account, place) for place in held}
    positions, orders, maintenance, profit = (
        sum((row[column] for row in margins.values()), _ZERO) for column in range(4)
    )
    cross = [margins[place.listing.symbol][3] for place in held if not place.is_isolated]
    balance = account.ledger.balances[name]
    available = _money(max(_ZERO, account.available(name)))
    return {
        "asset": name,
        "balance": _money(balance),
        "walletBalance": _money(balance),
        "unrealizedProfit": _money(profit),
        "marginBalance": _money(balance + profit),
        "maintMargin": _money(maintenance),
        "initialMargin": _money(positions + orders),
        "positionInitialMargin": _money(positions),
        "openOrderInitialMargin": _money(orders),
        "crossWalletBalance": _money(account.cross_balance(name)),
        "crossUnPnl": _money(sum(cross, _ZERO)),
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "updateTime": account.time_ms,
    }


def account_information(account: Account) -> Json:
    """Describe the whole account; the totals are those of its first coin."""
    assets = [asset(account, name) for name in account.ledger.balances]
    names = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "totalCrossUnPnl": "crossUnPnl",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    positions = [position(account, place) for place in account.positions.values()]
    totals = {total: assets[0][name] for total, name in names.items()}
    return totals | {"updateTime": account.time_ms, "assets": assets, "positions": positions}


def position(account: Account, place: Position) -> Json:
    """Describe a position."""
    symbol, mark = place.listing.symbol, account.mark_price(place.listing.symbol)
    initial, orders, maintenance, profit = _margins(account, place)
    isolated = place.margin + profit if place.is_isolated else _ZERO
    return {
        "symbol": symbol,
        "positionAmt": str(place.amount),
        "entryPrice": _money(place.entry_price),
        "breakEvenPrice": _money(place.entry_price),
        "markPrice": _money(mark),
        "unRealizedProfit": _money(profit),
        "unrealizedProfit": _money(profit),
        "liquidationPrice": _money(account.liquidation_price(symbol) or _ZERO),
        "isolatedMargin": _money(isolated),
        "isolatedWallet": _money(place.margin),
        "notional": _money(place.amount * mark),
        "marginAsset": place.listing.quote,
        "initialMargin": _money(initial + orders),
        "positionInitialMargin": _money(initial),
        "openOrderInitialMargin": _money(orders),
        "maintMargin": _money(maintenance),
        "leverage": str(place.leverage),
        "maxNotionalValue": str(largest_notional(place.listing, place.leverage)),
        "marginType": "isolated" if place.is_isolated else "cross",
        "isolated": place.is_isolated,
        "updateTime": place.update_ms,
    }


def order(placed: Order) -> Json:
    """Describe an order."""
    request, filled = placed.request, placed.filled
    return {
        "orderId": placed.id,
        "clientOrderId": placed.name,
        "symbol": request.symbol,
        "status": placed.status,
        "side": request.side,
        "type": request.kind,
        "origType": request.kind,
        "timeInForce": request.time_in_force,
        "reduceOnly": request.reduce_only,
        "price": str(request.price or 0),
        "avgPrice": _money(placed.cost / filled if filled else _ZERO),
        "origQty": str(request.quantity),
        "executedQty": str(filled),
        "cumQty": str(filled),
        "cumQuote": _money(placed.cost),
        "time": placed.time_ms,
        "updateTime": placed.update_ms,
    }


def stop_order(placed: StopOrder) -> Json:
    """Describe a stop order, in Binance's words a conditional algo order."""
    request, became = placed.request, placed.order
    kind = "TAKE_PROFIT" if request.takes_profit else "STOP"
    return {
        "algoId": placed.id,
        "clientAlgoId": placed.name,
        "orderType": kind if request.order.kind == "LIMIT" else f"{kind}_MARKET",
        "symbol": request.order.symbol,
        "side": request.order.side,
        "timeInForce": request.order.time_in_force,
        "quantity": str(request.order.quantity),
        "algoStatus": placed.status,
        "actualOrderId": "" if became is None else str(became.id),
        "actualPrice": "0" if became is None else order(became)["avgPrice"],
        "triggerPrice": str(request.trigger_price),
        "price": str(request.order.price or 0),
        "workingType": "MARK_PRICE" if request.by_mark_price else "CONTRACT_PRICE",
        "reduceOnly": request.order.reduce_only,
        "createTime": placed.time_ms,
        "updateTime": placed.update_ms,
        "triggerTime": placed.trigger_ms,
    }


def trade(fill: Fill, quote: str) -> Json:
    """Describe a fill."""
    return {
        "symbol": fill.symbol,
        "id": fill.id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": str(fill.price),
        "qty": str(fill.quantity),
        "realizedPnl": _money(fill.realized),
        "quoteQty": _money(fill.price * fill.quantity),
        "commission": _money(fill.fee),
        "commissionAsset": quote,
        "marginAsset": quote,
        "time": fill.time_ms,
        "positionSide": "BOTH",
        "buyer": fill.side == "BUY",
        "maker": fill.is_maker,
    }


def income(paid: Income) -> Json:
    """Describe a payment."""
    return {
        "symbol": paid.symbol,
        "incomeType": paid.kind,
        "income": _money(paid.amount),
        "asset": paid.asset,
        "info": paid.kind,
        "time": paid.time_ms,
        "tranId": paid.id,
        "tradeId": "" if paid.fill_id is None else str(paid.fill_id),
    }


def _margins(account: Account, place: Position) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Give the margin of a position, of its orders, its maintenance margin, and its profit."""
    orders = account.order_margin(place.listing.symbol)
    if not place.amount:
        return _ZERO, orders, _ZERO, _ZERO
    mark = account.mark_price(place.listing.symbol)
    maintenance = maintenance_margin(place.listing, abs(place.amount) * mark)
    return place.initial_margin(mark), orders, maintenance, place.unrealized(mark)


def _money(value: Decimal) -> str:
    return f"{value:.8f}"
