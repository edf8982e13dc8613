"""The languages of the hosted pages: English in the templates, Japanese here. Amounts as their readers write them."""

import datetime
from collections.abc import Callable
from typing import Any

from babel.core import Locale
from babel.dates import format_date

from sandbox.billing import wording

LOCALES = {"en": Locale("en", "US"), "ja": Locale("ja", "JP")}
JAPANESE = {
    # checkout
    "Subscribe to %(product)s": "%(product)sに申し込む",
    "Pay %(seller)s": "%(seller)sへのお支払い",
    "Save a payment method": "支払い方法の登録",
    "then %(amount)s %(interval)s": "その後 %(amount)s%(interval)s",
    "%(days)s days free": "%(days)s日間無料",
    "Total due today": "本日のお支払い額",
    "Subtotal": "小計",
    "Promotion code": "プロモーションコード",
    "Apply": "適用する",
    "Remove the code %(code)s": "コード%(code)sの適用を取り消す",
    "%(percent)s%% off": "%(percent)s%%割引",
    "%(amount)s off": "%(amount)s割引",
    "%(off)s your first invoice": "初回の請求を%(off)s",
    "%(off)s for as long as you subscribe": "ご利用期間中ずっと%(off)s",
    "%(off)s for %(months)s months": "%(months)sか月間%(off)s",
    "%(off)s for one month": "1か月間%(off)s",
    "This code has expired. Nothing was taken off.": "このコードは有効期限が切れているため、割引は適用されていません。",
    "This code was used as often as it may be. Nothing was taken off.":
        "このコードは利用回数の上限に達しているため、割引は適用されていません。",
    "This code is not valid any more. Nothing was taken off.":
        "このコードは現在ご利用いただけないため、割引は適用されていません。",
    "This code belongs to another customer. Nothing was taken off.":
        "このコードは別のお客様専用のため、割引は適用されていません。",
    "This code is for a first purchase only. Nothing was taken off.":
        "このコードは初回のご購入専用のため、割引は適用されていません。",
    "This code is for larger purchases. Nothing was taken off.":
        "このコードをご利用いただける金額に達していないため、割引は適用されていません。",
    "This code is not for what you buy here. Nothing was taken off.":
        "このコードは今回の商品の対象外のため、割引は適用されていません。",
    "There is no such code. Look at its letters and try again.":
        "このコードは見つかりません。入力内容をご確認のうえ、もう一度お試しください。",
    "Your payment is under way, so its amount cannot change any more.":
        "お支払いの手続きが進行中のため、金額を変更できません。",
    "With this code too little would be left to pay. Nothing was taken off.":
        "このコードを使うとお支払い額が下限を下回るため、割引は適用されていません。",
    "Write the code first.": "コードを入力してください。",
    "There is nothing to pay, so no card is needed.": "お支払いはありません。カードの登録も不要です。",
    "Complete the order · nothing to pay": "注文を確定する（お支払いなし）",
    "Subscribe · nothing to pay now": "申し込む（本日のお支払いなし）",
    "Quantity %(quantity)s": "数量 %(quantity)s",
    "Quantity %(quantity)s, %(each)s each": "数量 %(quantity)s、単価 %(each)s",
    "per day": "／日",
    "per week": "／週",
    "per month": "／月",
    "per year": "／年",
    "every %(count)s days": "／%(count)s日",
    "every %(count)s weeks": "／%(count)s週間",
    "every %(count)s months": "／%(count)sか月",
    "every %(count)s years": "／%(count)s年",
    "Back": "戻る",
    "Test mode": "テスト環境",
    "Contact": "連絡先",
    "Email": "メールアドレス",
    "Card": "カード情報",
    "Card number": "カード番号",
    "Expiry": "有効期限",
    "MM / YY": "月 / 年",
    "Security code": "セキュリティコード",
    "Name on card": "カードの名義人",
    "Pay %(amount)s": "%(amount)sを支払う",
    "Subscribe · %(amount)s now": "申し込む（本日 %(amount)s）",
    "Start the trial · nothing to pay now": "トライアルを開始する（本日のお支払いなし）",
    "Save the card": "カードを登録する",
    "By subscribing you allow %(seller)s to charge your card for this and later periods, until you cancel.":
        "お申し込みにより、解約されるまで、今回と次回以降の期間の料金が%(seller)sからカードに請求されます。",
    "Test cards": "テストカード",
    "Any future date and any security code will do. No real card works here, and no money moves.":
        "有効期限は将来の日付、セキュリティコードは任意の数字で構いません。本物のカードは使えず、お金も動きません。",
    "Pays": "支払いが成功します",
    "Pays (Japanese card)": "支払いが成功します（日本のカード）",
    "Asks for 3-D Secure": "3Dセキュア認証を求めます",
    "Asks for 3-D Secure each time": "毎回3Dセキュア認証を求めます",
    "Is declined": "拒否されます",
    "Is declined: insufficient funds": "拒否されます（残高不足）",
    "Is declined: expired": "拒否されます（有効期限切れ）",
    "Is declined: security code": "拒否されます（セキュリティコード）",
    "Is accepted, fails at the first charge": "登録はできますが、請求時に失敗します",
    "Please wait …": "お待ちください …",
    "This page has expired": "このページは有効期限が切れました",
    "Nothing was charged. Go back to where you came from and start again.":
        "料金は請求されていません。元のページに戻り、もう一度お試しください。",
    "This is paid already": "お支払いは完了しています",
    "This is done already": "手続きは完了しています",
    "You were charged once, %(amount)s. There is nothing more to do here.":
        "%(amount)sのお支払いを1回だけ承りました。このページでの操作はこれ以上必要ありません。",
    "There is nothing more to do here.": "このページでの操作はこれ以上必要ありません。",
    "Continue": "続ける",
    "There is no such page": "ページが見つかりません",
    "The address is not complete, or the sandbox was emptied since.":
        "アドレスが正しくないか、サンドボックスが初期化されました。",
    # other ways to pay
    "Way to pay": "お支払い方法",
    "Convenience store": "コンビニ決済",
    "Bank transfer": "銀行振込",
    "SEPA direct debit": "SEPAダイレクトデビット",
    "US bank account": "米国の銀行口座",
    "Name": "お名前",
    "Account holder": "口座名義",
    "Account number": "口座番号",
    "Routing number": "ルーティング番号",
    "Sort code": "ソートコード",
    "You get a code and pay in cash at FamilyMart, Lawson, Ministop or Seicomart.":
        "番号が発行されます。ファミリーマート、ローソン、ミニストップ、セイコーマートにて現金でお支払いください。",
    "You are told an account to send the money to. The order is complete when it has arrived.":
        "お振込先の口座をご案内します。入金の確認をもってお支払い完了となります。",
    "With this you allow the amount to be debited from your account. It takes some days.":
        "お申し込みにより、口座からの引き落としを承諾したことになります。完了まで数日かかります。",
    "Write the name of the person who pays.": "お支払いになる方のお名前を入力してください。",
    "Write the name of the account's holder.": "口座名義を入力してください。",
    "Write the IBAN.": "IBANを入力してください。",
    "Write the routing number.": "ルーティング番号を入力してください。",
    "Write the account number.": "口座番号を入力してください。",
    "The IBAN you have provided is invalid.": "入力されたIBANは正しくありません。",
    "Pay at a convenience store": "コンビニでのお支払い",
    "Pay %(amount)s at a convenience store": "コンビニで%(amount)sをお支払いください",
    "Show one of these codes in the shop by the end of %(day)s. After that it can no longer be paid.":
        "%(day)sまでに、店頭で以下の番号をご提示ください。期限を過ぎるとお支払いいただけません。",
    "Confirmation number": "確認番号",
    "Be the customer in the shop": "店頭での支払いを試す",
    "No money moves. In a real payment this happens at the counter.":
        "お金は動きません。実際のお支払いでは、レジで行われます。",
    "Pay at %(shop)s": "%(shop)sで支払う",
    "Let it expire": "期限切れにする",
    "There is nothing to pay here any more": "このお支払いは受け付けていません",
    "Pay by bank transfer": "銀行振込でのお支払い",
    "Send %(amount)s by bank transfer": "%(amount)sをお振り込みください",
    "%(amount)s has arrived. Only the rest is missing.":
        "%(amount)sの入金を確認しました。残りの金額をお振り込みください。",
    "Send the money to this account. It is yours alone, so that your payment is found.":
        "次の口座にお振り込みください。お客様専用の口座のため、入金が自動で確認されます。",
    "Bank": "銀行",
    "Bank code": "銀行コード",
    "Branch": "支店",
    "Branch code": "支店コード",
    "Account type": "口座種別",
    "Ordinary account": "普通",
    "Reference": "照会番号",
    "Be the customer at the bank": "振り込みを試す",
    "No money moves. Send less or more than is asked to see what happens.":
        "お金は動きません。過不足のある金額も試せます。",
    "Amount, in the currency's smallest unit": "金額（通貨の最小単位）",
    "Send the transfer": "振り込む",
    "Write the amount as a whole number above zero.": "金額は1以上の整数で入力してください。",
    "Your bank has been asked. This takes some days; there is nothing more to do.":
        "銀行に引き落としを依頼しました。完了まで数日かかります。これ以上の操作は必要ありません。",
    "You have chosen how to pay.": "お支払い方法が選択されています。",
    "See how to pay": "お支払い方法を見る",
    # billing portal
    "Your billing": "お支払いの管理",
    "Back to %(seller)s": "%(seller)sに戻る",
    "Your card is saved. Everything is paid with it from now on.":
        "カードを登録しました。今後のお支払いにはこのカードが使われます。",
    "The card is removed.": "カードを削除しました。",
    "This card pays for your subscription. Make another one the default first, then remove it.":
        "このカードはサブスクリプションのお支払いに使われています。別のカードをデフォルトにしてから削除してください。",
    "Your subscription is canceled.": "サブスクリプションを解約しました。",
    "Your subscription is changed.": "サブスクリプションを変更しました。",
    "The change is planned. Until then everything stays as it is.":
        "変更を予約しました。それまでは現在の内容のまま継続します。",
    "Change the plan": "プランを変更する",
    "Promotion code (if you have one)": "プロモーションコード（お持ちの場合）",
    "If you stay: %(off)s.": "継続いただける場合：%(off)s",
    "Stay and take it": "割引を受けて継続する",
    "You stay, and pay less from now on.": "割引を適用しました。引き続きご利用いただけます。",
    "Do not change it": "変更を取り消す",
    "Your subscription stays as it is.": "変更を取り消しました。現在の内容のまま継続します。",
    "Change your subscription": "サブスクリプションの変更",
    "You see what it costs before anything changes.": "変更の前に、料金をご確認いただけます。",
    "Plan": "プラン",
    "Your plan now": "現在のプラン",
    "Quantity": "数量",
    "Leave it as it is": "変更しない",
    "Choose something else": "別の内容を選ぶ",
    "Choose something else than you have now.": "現在と異なる内容を選択してください。",
    "Choose a quantity from %(least)s to %(most)s.": "数量は%(least)sから%(most)sの間で入力してください。",
    "Choose a quantity of %(least)s or more.": "数量は%(least)s以上で入力してください。",
    "This plan is not offered any more. Choose another one.":
        "このプランは現在お選びいただけません。別のプランを選択してください。",
    "Confirm the change": "変更内容の確認",
    "Now": "現在",
    "From now on": "変更後",
    "From %(day)s": "%(day)sから",
    "From %(day)s: %(plan)s, %(amount)s %(interval)s.": "%(day)sから：%(plan)s（%(amount)s%(interval)s）",
    "Today": "本日のお支払い",
    "Owed from before": "前回までの未払い額",
    "%(amount)s stays as credit for your next invoices.":
        "%(amount)sはクレジットとして残り、次回以降の請求に充てられます。",
    "Nothing changes before %(day)s and nothing is charged today.":
        "%(day)sまでは現在の内容のままで、本日のお支払いはありません。",
    "On your next invoice, %(day)s": "次回の請求（%(day)s）",
    "Nothing is charged today.": "本日のお支払いはありません。",
    "Nothing is charged today. The new price counts from %(day)s on.":
        "本日のお支払いはありません。新しい料金は%(day)sから適用されます。",
    "Confirm · %(amount)s now": "確定する（本日 %(amount)s）",
    "Confirm · nothing to pay now": "確定する（本日のお支払いなし）",
    "Confirm · from %(day)s": "確定する（%(day)sから）",
    "Your subscription goes on.": "サブスクリプションを継続します。",
    "Subscription": "サブスクリプション",
    "Ends on %(day)s. You will not be charged again.": "%(day)sに終了します。今後の請求はありません。",
    "Free until %(day)s, then it is charged.": "%(day)sまで無料です。その後、料金が発生します。",
    "The last payment failed. Use another card to keep it.":
        "前回のお支払いができませんでした。継続するには別のカードをご利用ください。",
    "Renews on %(day)s.": "次回の更新日は%(day)sです。",
    "Keep the subscription": "サブスクリプションを継続する",
    "Cancel the subscription": "サブスクリプションを解約する",
    "There is no subscription.": "サブスクリプションはありません。",
    "Payment methods": "支払い方法",
    "Default": "デフォルト",
    "Expires %(month)s / %(year)s": "有効期限 %(month)s / %(year)s",
    "Make default": "デフォルトにする",
    "Remove": "削除する",
    "There is no card yet.": "カードはまだ登録されていません。",
    "Add a card": "カードを追加する",
    "Invoices": "請求書",
    "Paid": "支払い済み",
    "Open": "未払い",
    "Written off": "回収不能",
    "Void": "無効",
    "There is no invoice yet.": "請求書はまだありません。",
    "It becomes the card that everything is paid with. Nothing is charged now.":
        "今後のお支払いにはこのカードが使われます。今は請求されません。",
    "Your details": "お客様情報",
    "Change the details": "お客様情報を変更する",
    "Save the details": "お客様情報を保存する",
    "Your details are saved.": "お客様情報を保存しました。",
    "They stand on your invoices from now on.": "今後の請求書に記載されます。",
    "See all your billing": "お支払いの管理をすべて見る",
    "It is canceled already and ends on %(day)s.": "すでに解約済みで、%(day)sに終了します。",
    "It ends now. You will not be charged again.": "すぐに終了します。今後の請求はありません。",
    "You can use it until %(day)s. After that it ends, and you will not be charged again.":
        "%(day)sまでご利用いただけます。その後終了し、今後の請求はありません。",
    "Why do you leave? (You need not say.)": "解約の理由をお聞かせください（任意）",
    "Anything else?": "その他ご意見",
    "Cancel now": "今すぐ解約する",
    "Cancel as of %(day)s": "%(day)sで解約する",
    "Your card is saved.": "カードを登録しました。",
    "Too expensive": "料金が高い",
    "Missing features": "必要な機能がない",
    "Switched service": "別のサービスに切り替えた",
    "Unused": "使わなくなった",
    "Customer service": "サポートに不満がある",
    "Too complex": "使い方が難しい",
    "Low quality": "品質に不満がある",
    "Other": "その他",
    # invoice
    "Invoice %(number)s": "請求書 %(number)s",
    "Invoice": "請求書",
    "Invoice number": "請求書番号",
    "Date": "発行日",
    "Due": "支払期限",
    "Paid on": "支払日",
    "Bill to": "請求先",
    "From": "発行元",
    "Description": "内容",
    "Qty": "数量",
    "Amount": "金額",
    "Discount": "割引",
    "Shipping": "送料",
    "Tax": "税",
    "Tax included": "うち税額",
    "Credit note": "クレジットノート",
    "Credit note %(number)s": "クレジットノート %(number)s",
    "Credit note number": "クレジットノート番号",
    "Voided on": "取消日",
    "Credit": "クレジット",
    "Total credited": "クレジット合計",
    "Credit applied": "クレジット残高の適用",
    "Amount due": "請求額",
    "Amount paid": "支払い済み額",
    "Amount remaining": "残額",
    "Total": "合計",
    "Download the PDF": "PDFをダウンロードする",
    "%(amount)s is due": "%(amount)sをお支払いください",
    "%(amount)s is paid": "%(amount)sのお支払いが完了しました",
    "%(amount)s is due on %(day)s": "%(day)sまでに%(amount)sをお支払いください",
    "This invoice is void. Nothing is to be paid.": "この請求書は無効です。お支払いは不要です。",
    "Page %(page)s of %(pages)s": "%(page)s / %(pages)s ページ",
    "Test mode: no real money.": "テスト環境：実際のお支払いではありません。",
    # errors, in Stripe's words
    "Your card was declined.": "カードが拒否されました。",
    "Your card has insufficient funds.": "カードの残高が不足しています。",
    "Your card has expired.": "カードの有効期限が切れています。",
    "Your card's security code is incorrect.": "カードのセキュリティコードが正しくありません。",
    "Your card number is incorrect.": "カード番号が正しくありません。",
    "Your card number is incomplete.": "カード番号に不備があります。",
    "Your card's expiration date is incomplete.": "カードの有効期限に不備があります。",
    "Your card's expiration year is in the past.": "カードの有効期限（年）が過去のものです。",
    "Your card's expiration year is invalid.": "カードの有効期限（年）が無効です。",
    "Your card's expiration month is invalid.": "カードの有効期限（月）が無効です。",
    "Your card's expiration date is in the past.": "カードの有効期限が過去のものです。",
    "Your card's security code is incomplete.": "カードのセキュリティコードに不備があります。",
    "Your email is incomplete.": "メールアドレスに不備があります。",
    "An error occurred while processing your card. Try again in a little bit.":
        "カードの処理中にエラーが発生しました。しばらくしてからもう一度お試しください。",
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.":
        "お支払い方法を認証できませんでした。別のお支払い方法を選択して、もう一度お試しください。",
    "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test cards, "
    "visit: https://stripe.com/docs/testing.":
        "カードが拒否されました。テスト環境で、テスト用ではないカードが使われました。",
}  # fmt: skip

Translate = Callable[..., str]


def choose(locale: str | None, languages: str) -> str:
    """`ja` or `en`: what the session says, else what the browser likes best."""
    wanted = [locale] if locale and locale != "auto" else [part.split(";")[0].strip() for part in languages.split(",")]
    for tag in wanted:
        if tag and tag[:2].lower() in LOCALES:
            return tag[:2].lower()
    return "en"


def translator(language: str) -> Translate:
    """A function for templates: the sentence in the language, its %(…)s filled in."""

    def translate(sentence: str, **values: Any) -> str:
        known = JAPANESE.get(sentence, sentence) if language == "ja" else sentence
        return known % values if values else known

    return translate


def tools(language: str) -> dict[str, Any]:
    """What every template is given."""
    translate = translator(language)
    locale = LOCALES[language]
    return {
        "_": translate,
        "language": language,
        "money": lambda amount, currency: wording.money(amount, currency, locale=locale),
        "day": lambda at: format_date(datetime.datetime.fromtimestamp(at, datetime.UTC), format="long", locale=locale),
        "interval": lambda recurring: interval(translate, recurring),
        "off": lambda coupon, currency, mode: off(translate, coupon, currency, mode, locale),
    }


def off(translate: Translate, coupon: dict[str, Any], currency: str, mode: str, locale: Locale) -> str:
    """What a coupon gives, in a subscription for how long too: 20% off for 3 months."""
    if coupon["percent_off"] is not None:
        taken = translate("%(percent)s%% off", percent=f"{coupon['percent_off']:g}")
    else:
        option = (coupon.get("_currency_options") or {}).get(currency) or coupon
        taken = translate("%(amount)s off", amount=wording.money(option["amount_off"], currency, locale=locale))
    if mode != "subscription":
        return taken
    lasting = {"once": "%(off)s your first invoice", "forever": "%(off)s for as long as you subscribe"}
    many = "%(off)s for %(months)s months" if coupon["duration_in_months"] != 1 else "%(off)s for one month"
    return translate(lasting.get(coupon["duration"], many), off=taken, months=coupon["duration_in_months"])


def interval(translate: Translate, recurring: dict[str, Any]) -> str:
    """per month, every 3 months"""
    count, unit = recurring["interval_count"], recurring["interval"]
    return translate(f"per {unit}") if count == 1 else translate(f"every %(count)s {unit}s", count=count)
